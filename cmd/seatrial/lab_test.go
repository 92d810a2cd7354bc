package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/cmd/internal/lab"
)

func TestGoodDeploys(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "good", 9001)
	one, two := s.unit("", "--version=1"), s.unit("", "--version=2")
	s.write(one)
	s.run("plan", "lab").exits(0).says("new /etc/systemd/system/good.service", "3 to change")
	s.is("", false)
	s.run("deploy", "lab", "--dry-run").exits(0).says("3 to change")
	s.is("", false)
	s.run("deploy", "lab").exits(0).says("deployed", "good.service listens on 127.0.0.1:9001")
	s.is(one, true)
	for _, h := range s.hosts {
		if got := sh(t, h, "systemctl is-enabled good.service"); got != "enabled" {
			t.Errorf("%s: a first install is %s, want enabled", h.Name, got)
		}
	}

	before := s.invocations()
	r := s.run("deploy", "lab", "--json").exits(0)
	if got := fmt.Sprint(r.outcomes()); got != "map[web-1:unchanged web-2:unchanged web-3:unchanged]" {
		t.Errorf("the same again: %s", got)
	}
	s.is(one, true)
	if s.invocations() == before {
		t.Error("a deploy restarts, also where nothing changed")
	}

	s.run("rollback", "lab").exits(4).says("no release to go back to")
	s.is(one, true)
	s.write(two)
	s.run("plan", "lab", "--detailed-exitcode").exits(2).says("--version=2", "web-1, web-2, web-3")
	s.run("deploy", "lab").exits(0)
	s.is(two, true)
	s.run("rollback", "lab", "--dry-run").exits(0).says("--version=1")
	s.is(two, true)
	s.run("rollback", "lab").exits(0).says("deployed")
	s.is(one, true)
	s.run("rollback", "lab").exits(4).says("no release to go back to")

	before = s.invocations()
	s.run("restart", "lab").exits(0)
	s.is(one, true)
	if s.invocations() == before {
		t.Error("restart did not restart")
	}
	s.run("check", "lab").exits(0)
	s.run("status", "lab").exits(0).says("well           3 hosts  good  ", "3 hosts: 3 well")
	s.run("status", "lab", "--json").exits(0).says(`"since":"20`) // a time that was understood
	s.run("logs", "lab", "-n", "5").exits(0).says("app 1 starts")
	s.logsInOrder()
}

// logsInOrder: the journals of all hosts are merged by time, and say what wrote them about which unit.
func (s *scenario) logsInOrder() {
	s.t.Helper()
	last, hosts := time.Time{}, map[string]bool{}
	for line := range strings.Lines(s.run("logs", "lab", "-n", "5", "--json").exits(0).out) {
		var l struct {
			Type, Host, Unit, Source, Text string
			Time                           time.Time
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatal(err)
		}
		if l.Type != "log.line" {
			continue
		}
		hosts[l.Host] = true
		if l.Time.Before(last) || l.Unit != s.name+".service" || l.Source == "" || l.Text == "" {
			s.t.Errorf("%+v after %s", l, last)
		}
		last = l.Time
	}
	if len(hosts) != len(s.hosts) {
		s.t.Errorf("journals of %v only", hosts)
	}
}

// Restart=always hides a service that dies: systemctl says active nearly always.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "crash", 9002).on("web-1")
	good, bad := s.unit("", "--version=1"), s.unit("Restart=always", "--version=2", "--crash-after=8")
	s.write(good)
	s.run("deploy", "lab").exits(0)
	s.window = "15s"
	s.write(bad)
	s.run("deploy", "lab").exits(3).says("FAILED", "crash.service died", "app 2: fatal: giving up", "rolled-back").saysNot("app 1 starts")
	s.is(good, true)
}

func TestNeverReady(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "ready", 9003).on("web-2")
	good := s.unit("Type=notify", "--version=1", "--notify")
	s.write(good)
	s.run("deploy", "lab").exits(0)
	s.start = "4s"
	s.write(s.unit("Type=notify\nRestart=always", "--version=2"))
	s.run("deploy", "lab").exits(3).says("did not become active within 4 s", "rolled-back")
	s.is(good, true)
}

func TestLintRefuses(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "lint", 9004).on("web-3")
	good := s.unit("", "--version=1")
	s.write(good)
	s.run("deploy", "lab").exits(0)
	before := s.invocations()
	s.write("[Service]\nExecStart=/nonexistent/program\n")
	s.run("deploy", "lab").exits(3).says("systemd-analyze", "/nonexistent/program", "failed")
	s.is(good, true)
	if after := s.invocations(); after != before {
		t.Errorf("the service was restarted:\n%s\n%s", before, after)
	}
}

func TestPortHeldByAnotherProcess(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "port", 9005).on("web-1")
	for _, h := range s.hosts {
		sh(t, h, "systemd-run --quiet --unit=squatter "+app+" --listen=127.0.0.1:9005 --version=squatter")
	}
	// this unit does not die of it: it just never listens
	s.write("[Service]\nExecStart=/bin/sleep infinity\n")
	s.run("deploy", "lab").exits(3).says("127.0.0.1:9005 is held by another process", "app.pl")
	s.is("", false)
}

func TestVerifyFailsOnOneHostOfThree(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "one", 9006)
	good := s.unit("", "--version=1", "--broken-if=/etc/one-is-broken")
	s.write(good)
	s.run("deploy", "lab").exits(0)
	sh(t, s.lab.Host("web-2"), "touch /etc/one-is-broken")
	bad := s.unit("", "--version=2", "--broken-if=/etc/one-is-broken")
	s.write(bad)
	r := s.run("deploy", "lab", "--json")
	sh(t, s.lab.Host("web-2"), "rm /etc/one-is-broken")
	r.exits(3)
	if got := fmt.Sprint(r.outcomes()); got != "map[web-1:rolled-back web-2:rolled-back web-3:rolled-back]" {
		t.Errorf("rollback-all: %s", got)
	}
	s.is(good, true)

	s.rollout = `on_failure = "rollback-failed"`
	s.write(bad)
	sh(t, s.lab.Host("web-2"), "touch /etc/one-is-broken")
	r = s.run("deploy", "lab", "--json").exits(3)
	if got := fmt.Sprint(r.outcomes()); got != "map[web-1:deployed web-2:rolled-back web-3:deployed]" {
		t.Errorf("rollback-failed: %s", got)
	}
	for _, h := range s.hosts {
		if h.Name == "web-2" {
			s.hostIs(h, good, true)
		} else {
			s.hostIs(h, bad, true)
		}
	}
}

func TestFirstInstallThatFails(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "first", 9007).on("web-2")
	s.write(s.unit("Restart=always", "--version=1", "--crash-after=1"))
	s.run("deploy", "lab").exits(3).says("rolled-back")
	s.is("", false)
	for _, h := range s.hosts {
		if got := sh(t, h, "pgrep -f '[a]pp.pl.*9007' || true"); got != "" {
			t.Errorf("%s: process %s is left of a first install that failed", h.Name, got)
		}
	}
}

// Nothing of the inventory is ever shell text, and no check can hold a run up.
func TestHostileChecks(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "hostile", 9008).on("web-3")
	s.extra = `
[[services.hostile.checks]]
name = "$(touch /tmp/pwned-1) 'quoted' \"twice\" ; touch /tmp/pwned-2 -- ünïcode"
command = ["/bin/sh", "-c", "printf '%s' \"$1\" > /tmp/hostile-carried", "-", "$(touch /tmp/pwned-3)\n'\"\\ -n ü\n\n"]
[[services.hostile.checks]]
name = "300 MB of output"
command = ["/bin/sh", "-c", "head -c 300000000 /dev/zero | tr '\\0' x; echo; echo the end"]
[[services.hostile.checks]]
name = "hangs"
severity = "warning"
timeout = "2s"
command = ["/bin/sleep", "600"]
[[services.hostile.checks]]
name = "leaves a process that holds its output"
severity = "warning"
timeout = "2s"
command = ["/bin/sh", "-c", "setsid sleep 60 & exit 0"]
`
	good := s.unit("", "--version=1")
	s.write(good)
	s.run("deploy", "lab", "-v").exits(0).says("$(touch /tmp/pwned-1)", "did not end within 2 s", "the end")
	s.is(good, true)
	for _, h := range s.hosts {
		if got := sh(t, h, "ls /tmp/pwned* 2>/dev/null || true"); got != "" {
			t.Errorf("%s: a name became a command: %s", h.Name, got)
		}
		want := "$(touch /tmp/pwned-3)\n'\"\\ -n ü\n\n"
		if got := sh(t, h, "cat /tmp/hostile-carried; printf ."); got != want+"." {
			t.Errorf("%s: the argument arrived as %q, want %q", h.Name, got, want)
		}
	}
}

// The controller dies in the middle of the trial, and nobody is left but the hosts themselves.
func TestControllerKilledInTrial(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "killed", 9009).on("web-3")
	good := s.unit("", "--version=1")
	s.write(good)
	s.run("deploy", "lab").exits(0)
	s.window = "40s"
	s.write(s.unit("", "--version=2"))
	cmd := s.command(t.Context(), "deploy", "lab")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitTrial()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	s.run("deploy", "lab").exits(5).says("locked by", "its lease ends by itself")
	for _, h := range s.hosts {
		eventually(t, 2*time.Minute, h.Name+" is back on the old unit", func() bool { return s.wrong(h, good, true) == nil })
	}
	s.window = "3s"
	s.write(good)
	s.run("deploy", "lab").exits(0)
	s.is(good, true)
}

// awaitTrial waits until the new unit runs on every host, from /run.
func (s *scenario) awaitTrial() {
	s.t.Helper()
	for _, h := range s.hosts {
		eventually(s.t, time.Minute, h.Name+" is in trial", func() bool {
			out, _ := h.Sh(fmt.Sprintf("systemctl show -p FragmentPath -- %[1]s.service; systemctl is-active %[1]s.service", s.name))
			return strings.Contains(out, "system.control") && strings.Contains(out, "\nactive")
		})
	}
}

func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not after %s: %s", limit, what)
}

// The test of the test: what `is` looks for, it finds.
func TestLeftoversAreSeen(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "seen", 9010).on("web-1")
	good := s.unit("", "--version=1")
	s.write(good)
	s.run("deploy", "lab").exits(0)
	h := s.hosts[0]
	for _, plant := range []struct{ do, undo string }{
		{"echo '#' >> /etc/systemd/system/seen.service", "sed -i '$d' /etc/systemd/system/seen.service"},
		{"mkdir -p /run/systemd/system.control; cp /etc/systemd/system/seen.service /run/systemd/system.control/", "rm /run/systemd/system.control/seen.service"},
		{"touch /etc/systemd/system/.seatrial-seen.service.stage", "rm /etc/systemd/system/.seatrial-seen.service.stage"},
		{"mkdir -p /run/seatrial/seen", "rmdir /run/seatrial/seen"},
		{"systemctl stop seen.service", "systemctl start seen.service"},
	} {
		sh(t, h, plant.do)
		if s.wrong(h, good, true) == nil {
			t.Errorf("after `%s` nothing is found wrong", plant.do)
		}
		sh(t, h, plant.undo+"; systemctl daemon-reload") // somebody else may have reloaded it with what was planted
		if wrong := s.wrong(h, good, true); wrong != nil {
			t.Errorf("after `%s`: %s", plant.undo, wrong)
		}
	}
}

// A host whose cable is pulled.
func TestHostDown(t *testing.T) {
	t.Parallel()
	l := lab.Start(t, lab.Spec{Hosts: []lab.HostSpec{{Name: "web-1"}, {Name: "web-2"}}}) // the other scenarios need theirs
	s := scenarioOn(t, l, "down", 9011)
	one, two := s.unit("", "--version=1"), s.unit("", "--version=2")
	s.write(one)
	s.run("deploy", "lab").exits(0)
	away := l.Host("web-2")
	if err := away.CutNetwork(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = away.RestoreNetwork() })
	s.write(two)
	r := s.run("deploy", "lab", "--json").exits(4)
	if got := fmt.Sprint(r.outcomes()); got != "map[web-1:skipped web-2:unreachable]" {
		t.Errorf("unreachable = fail: %s", got)
	}
	s.is(one, true)
	s.rollout = `unreachable = "skip"`
	s.write(two)
	r = s.run("deploy", "lab", "--json").exits(4)
	if got := fmt.Sprint(r.outcomes()); got != "map[web-1:deployed web-2:unreachable]" {
		t.Errorf("unreachable = skip: %s", got)
	}
	s.hostIs(l.Host("web-1"), two, true)
	s.hostIs(away, one, true)
	if err := away.RestoreNetwork(); err != nil {
		t.Fatal(err)
	}
	s.run("deploy", "lab").exits(0)
	s.is(two, true)
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "stopped", 9012).on("web-2")
	good := s.unit("", "--version=1")
	s.write(good)
	s.run("deploy", "lab").exits(0)
	s.window = "40s"
	s.write(s.unit("", "--version=2"))
	cmd := s.command(t.Context(), "deploy", "lab", "--json")
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitTrial()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	r := result{t, cmd.ProcessState.ExitCode(), out.String(), "", "deploy lab, interrupted"}
	r.exits(130).allRolledBack(s.hosts)
	s.is(good, true)
}

// Two units that move together: a bad one takes the good one back.
func TestTwoUnits(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "pair", 9013).on("web-3")
	web, worker := s.unit("", "--version=1"), "[Service]\nExecStart=/bin/sleep infinity\n"
	s.units = []string{"pair.service", "pair-worker.service"}
	s.write(web)
	s.file("pair-worker.service", worker)
	s.run("deploy", "lab").exits(0)
	s.is(web, true)
	s.write(s.unit("", "--version=2"))
	s.file("pair-worker.service", "[Service]\nExecStart=/bin/false\n")
	s.run("deploy", "lab").exits(3).says("pair-worker.service")
	s.is(web, true)
	for _, h := range s.hosts {
		if got := sh(t, h, "cat /etc/systemd/system/pair-worker.service; systemctl is-active pair-worker.service"); got != worker+"active" {
			t.Errorf("%s: the other unit: %s", h.Name, got)
		}
	}
}

// A person takes up what a killed run left, without waiting for the lease.
func TestResume(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "resumed", 9014).on("web-1")
	good := s.unit("", "--version=1")
	s.write(good)
	s.run("deploy", "lab").exits(0)
	s.window = "40s"
	s.write(s.unit("", "--version=2"))
	cmd := s.command(t.Context(), "deploy", "lab")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitTrial()
	s.run("resume").exits(1).says("still under way")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	s.run("runs").exits(0).says("unfinished")
	s.run("resume").exits(3).says("rolled-back")
	s.is(good, true)
	s.run("resume").exits(0).says("nothing to resume")
	s.run("show").exits(0).says("rolled-back")
}

func TestLocks(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "locks", 9015).on("web-2")
	good := s.unit("", "--version=1")
	s.write(good)
	s.run("deploy", "lab").exits(0)

	s.run("lock", "lab", "--message", "moving the database").exits(0)
	s.run("deploy", "lab", "--wait", "3s").exits(5).says("held for maintenance", "moving the database", "seatrial unlock")
	s.run("unlock", "lab", "--dry-run").exits(0).says("remove the maintenance lock")
	s.run("unlock", "lab").exits(0)

	s.window = "30s"
	s.write(s.unit("", "--version=2"))
	first := s.command(t.Context(), "deploy", "lab", "--json")
	var out strings.Builder
	first.Stdout = &out
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitTrial()
	s.run("unlock", "lab").exits(5).says("the lease is held by")
	s.run("unlock", "lab", "--steal").exits(0).says("took the lease away")
	_ = first.Wait()
	r := result{t, first.ProcessState.ExitCode(), out.String(), "", "deploy, fenced"}
	r.exits(3).says("another run has taken over this host", "what this run had begun is undone")
	r.allRolledBack(s.hosts)
	s.is(good, true)

	s.window = "12s"
	s.write(good)
	waited := s.command(t.Context(), "deploy", "lab")
	if err := waited.Start(); err != nil {
		t.Fatal(err)
	}
	s.awaitTrial()
	s.run("deploy", "lab", "--wait", "2m").exits(0).says("waiting for at most 2m0s")
	if err := waited.Wait(); err != nil {
		t.Error("the run that was waited for:", err)
	}
	s.is(good, true)
}
