package plans

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/remote/sshtest"
	"github.com/seatrial/seatrial/steps"
)

// full is a service that has something to do in every step.
func full(text string) *inventory.Service {
	s := web(text)
	s.Logs = &inventory.Logs{Directory: "/var/log/web", Owner: "www-data", Group: "www-data", Mode: "0750",
		Logrotate: &inventory.File{Target: "/etc/logrotate.d/web", Content: []byte("rotate\n"), Digest: digestOf([]byte("rotate\n"))}}
	s.Checks = []inventory.Check{
		{Name: "log", Directory: "/var/log", Timeout: time.Second},
		{Name: "dot env", File: "/srv/.env", Severity: inventory.SeverityWarning, Timeout: time.Second},
		{Name: "migrations", Command: []string{"manage.py", "check"}, Timeout: time.Second},
	}
	s.Settle.Window = 10 * time.Second
	s.Verify.Timeout = 5 * time.Second
	s.Verify.HTTP = []inventory.HTTP{{URL: "http://" + address + "/", Status: 200, Contains: `"ok": true`}}
	return s
}

// The order in which a person sees a good deploy. What is here is public: scripts read it.
func TestEventsOfAGoodDeploy(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, unit("old"), unit("new"))
	f.order.Services = []*inventory.Service{full(unit("new"))}
	if code := f.run(t.Context()); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	want := []string{
		"run.started web-1",
		"host.started web-1",
		"step.started web-1 lock", "step.finished web-1 lock ok",
		"step.started web-1 log-setup",
		"step.output web-1 log-setup changed", // created
		"step.output web-1 log-setup changed", // owner
		"step.output web-1 log-setup changed", // mode
		"step.finished web-1 log-setup ok",
		"step.started web-1 health-check",
		"step.output web-1 health-check check log",
		"step.output web-1 health-check check-warning dot env",
		"step.output web-1 health-check check migrations",
		"step.finished web-1 health-check ok",
		"step.started web-1 guard", "step.finished web-1 guard ok",
		"step.started web-1 unit-copy", "step.finished web-1 unit-copy ok",
		"wave.started 1 web-1",
		"step.started web-1 trial", "step.finished web-1 trial ok",
		"step.started web-1 reload", "step.finished web-1 reload ok",
		"step.started web-1 start", "step.finished web-1 start ok",
		"step.started web-1 settle",
		"step.output web-1 settle progress",
		"step.output web-1 settle changed",
		"step.finished web-1 settle ok",
		"step.started web-1 verify",
		"step.output web-1 verify changed", // listening
		"step.output web-1 verify changed", // HTTP
		"step.finished web-1 verify ok",
		"step.started web-1 commit", "step.finished web-1 commit ok",
		"wave.finished ok 1 web-1",
		"host.finished web-1 deployed",
		"run.finished deployed exit 0",
	}
	if d := cmp.Diff(want, lines(f.events)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	f.runs("web-1", unit("new"))
	if got, _ := f.hosts["web-1"].ReadFile("/etc/logrotate.d/web"); string(got) != "rotate\n" {
		t.Errorf("logrotate file: %q", got)
	}
	if d := cmp.Diff([]HostResult{{Host: "web-1", Service: "web", Outcome: Deployed, Release: record(f.hosts["web-1"], "release")}}, f.results()); d != "" {
		t.Error(d)
	}
}

// oneByOne sends each request in a batch of its own, as a connection without pipelining would.
type oneByOne struct{ asker }

func (o oneByOne) Do(ctx context.Context, batch []remote.Request, each func(remote.Reply)) ([]remote.Result, error) {
	var all []remote.Result
	failed := ""
	for i, request := range batch {
		if failed != "" && failed != request.Step {
			each(remote.Reply{Request: i, Key: remote.EndKey, Text: "skipped"})
			all = append(all, remote.Result{Skipped: true})
			continue
		}
		one, err := o.asker.Do(ctx, []remote.Request{request}, func(r remote.Reply) {
			r.Request = i
			each(r)
		})
		all = append(all, one...)
		if err != nil {
			return all, err
		}
		if one[0].Code != 0 {
			failed = request.Step
		}
	}
	return all, nil
}

// Which requests share a round trip is transport, and nobody can see it.
func TestEventsAreTheSameOneByOne(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"", "lock", "log-setup", "health-check", "unit-copy", "guard", "reload", "start", "settle", "verify", "commit", "rollback"} {
		t.Run("fail "+fault, func(t *testing.T) {
			t.Parallel()
			var seen [2][]Event
			for i := range seen {
				f := newFleet(t, 1, unit("old"), unit("new"))
				f.order.Services = []*inventory.Service{full(unit("new"))}
				if fault != "" {
					if err := f.hosts["web-1"].Fail(fault); err != nil {
						t.Fatal(err)
					}
				}
				if i == 1 {
					f.runner.through = func(a asker) asker { return oneByOne{a} }
				}
				f.run(t.Context())
				seen[i] = f.events
			}
			if d := cmp.Diff(plain(seen[0]), plain(seen[1])); d != "" {
				t.Errorf("events (-pipelined +one by one):\n%s", d)
			}
		})
	}
}

// plain is every field of the events but what the host's clock and its numbers make different.
func plain(events []Event) []Event {
	all := slices.Clone(events)
	for i := range all {
		all[i].Text = blank(all[i].Text)
		all[i].Release = blank(all[i].Release)
		all[i].Hosts = slices.Clone(all[i].Hosts)
		for j := range all[i].Hosts {
			all[i].Hosts[j].Text = blank(all[i].Hosts[j].Text)
		}
	}
	return all
}

// blank makes one # of every run of hex digits that has a digit in it.
func blank(text string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n[]:;(),", r) }) {
		if strings.ContainsAny(word, "0123456789") {
			word = "#"
		}
		b.WriteString(word + " ")
	}
	return b.String()
}

// What deploy changes is what the preview said it would change.
func TestPreviewIsTrue(t *testing.T) {
	t.Parallel()
	type situation struct {
		name  string
		old   string
		setup func(f *fleet)
	}
	situations := []situation{
		{"new on old", unit("old"), func(*fleet) {}},
		{"first install", "", func(*fleet) {}},
		{"the same again", unit("new"), func(*fleet) {}},
		{"log directory is there", unit("old"), func(f *fleet) {
			_ = f.hosts["web-1"].Mkdir("/var/log/web", 0o750, "www-data", "www-data")
		}},
		{"log directory of another", unit("old"), func(f *fleet) { _ = f.hosts["web-1"].Mkdir("/var/log/web", 0o700, "root", "root") }},
		{"logrotate file is there", unit("old"), func(f *fleet) {
			_ = f.hosts["web-1"].WriteFile("/etc/logrotate.d/web", []byte("rotate\n"), 0o644, "root", "root")
		}},
		{"logrotate file of another", unit("old"), func(f *fleet) {
			_ = f.hosts["web-1"].WriteFile("/etc/logrotate.d/web", []byte("x\n"), 0o600, "root", "root")
		}},
	}
	for _, tt := range situations {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 1, tt.old, unit("new"))
			f.order.Services = []*inventory.Service{full(unit("new"))}
			tt.setup(f)
			before := f.snapshot("web-1")
			run := f.runner.Survey(t.Context(), f.order)
			defer run.Close()
			previews := run.Preview()
			if after := f.snapshot("web-1"); !cmp.Equal(before, after) {
				t.Errorf("the preview changed the host:\n%s", cmp.Diff(before, after))
			}
			if code := run.Do(t.Context()); code != ExitOK {
				t.Fatalf("exit code %d: %+v", code, f.results())
			}
			after := f.snapshot("web-1")
			for path := range after {
				said := mentions(previews[0].Lines, path)
				if changed := before[path] != after[path]; changed != said {
					t.Errorf("%s: the preview says change %v, deploy says %v (%q -> %q)\n%v", path, said, changed, before[path], after[path], previews[0].Lines)
				}
			}
			for path := range before {
				if _, ok := after[path]; !ok {
					t.Errorf("%s is gone", path)
				}
			}
			if previews[0].Changes != (f.result("web-1").Outcome == Deployed) {
				t.Errorf("preview says changes %v, outcome %s", previews[0].Changes, f.result("web-1").Outcome)
			}
		})
	}
}

func mentions(lines []steps.Line, path string) bool {
	return slices.ContainsFunc(lines, func(l steps.Line) bool {
		if l.Step == "commit" { // says only that what was announced is put into place
			return l.Changes && strings.HasPrefix(l.Text, "enable ") && strings.Contains(path, ".wants/")
		}
		return l.Changes && strings.Contains(l.Text, path)
	})
}

// snapshot is all that is on a host below /etc and /var/log, and the log directory.
func (f *fleet) snapshot(host string) map[string]string {
	h := f.hosts[host]
	all := map[string]string{}
	for _, path := range append(append(h.List("/etc/"), h.List("/var/log/")...), "/var/log/web") {
		mode, owner, group, err := h.Stat(path)
		if err != nil {
			continue
		}
		var content []byte
		if mode&fs.ModeSymlink == 0 {
			content, _ = h.ReadFile(path)
		}
		all[path] = fmt.Sprint(mode, owner, group, string(content))
	}
	return all
}

// A run that is closed leaves no goroutine, connection or file behind, whatever became of it. Not parallel: it counts.
func TestNothingIsLeftAfterClose(t *testing.T) {
	m := newMortal(t, 2)
	f := m.fleet
	f.clock()
	m.runner.Journal = func(run JournalRun) (*Journal, error) {
		m.dir = t.TempDir()
		return CreateJournal(m.dir, run)
	}
	m.expect(m.run(t.Context()), ExitOK, "deployed deployed") // what is started once and stays
	before := settled()
	for _, fault := range sshtest.Faults() {
		_ = f.hosts["web-2"].Fail(fault)
		f.order.Services = []*inventory.Service{full(unit("new " + fault))}
		if code := f.run(t.Context()); code == ExitOK {
			t.Errorf("%s does no harm", fault)
		}
		f.hosts["web-2"].Heal(fault)
		f.hosts["web-2"].Advance(11 * time.Minute) // the lease of a fault
	}
	for _, at := range []string{"host.started web-2", "step.started web-2 lock", "step.started web-2 settle", "step.started web-2 commit"} {
		for name, stop := range map[string]func(context.CancelFunc){
			"cancel": func(cancel context.CancelFunc) { cancel() },
			"cut":    func(context.CancelFunc) { m.net.cut() },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			stopped := false
			f.each = func(_ int, e Event) {
				if line(e) == at {
					stopped = true
					stop(cancel)
				}
			}
			f.run(ctx)
			cancel()
			if !stopped {
				t.Errorf("there was no %s at %s", name, at)
			}
		}
	}
	f.each = nil
	m.killBefore("verify")
	m.resume(m.die())
	for range 500 { // the hosts' ends of the connections end by themselves
		if now := settled(); now.goroutines <= before.goroutines && now.files <= before.files {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("before %+v, after %+v\n%s", before, settled(), buf[:runtime.Stack(buf, true)])
}

// usage is what this process holds; files is 0 where the system does not tell.
type usage struct{ goroutines, files int }

func settled() usage {
	for range 20 {
		runtime.Gosched()
	}
	files, _ := os.ReadDir("/proc/self/fd") // sockets, too
	return usage{runtime.NumGoroutine(), len(files)}
}
