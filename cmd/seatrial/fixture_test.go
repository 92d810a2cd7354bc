package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seatrial/seatrial/cmd/internal/lab"
)

// web are three plain hosts for all scenarios; each scenario has a service of its own, so they run side by side.
// One that is about a single host has a single one, unless SEATRIAL_MATRIX=full.
var web = lab.Shared{Spec: lab.Spec{Hosts: []lab.HostSpec{{Name: "web-1"}, {Name: "web-2"}, {Name: "web-3"}}}}

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) { // the default
		_ = flag.Set("test.parallel", "3") // these tests wait for hosts, which poll: more at once take longer
	}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(s) { // by nohup, say: the programs that are started here are not to inherit that
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	code := web.Run(m)
	if binary.dir != "" {
		_ = os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

// binary is the product, built once for each way of building it.
var binary struct {
	mu  sync.Mutex
	dir string
}

// seatrial is the program, as it is shipped.
func seatrial(t *testing.T) string { return build(t, "seatrial") }

// raced is the program with the race detector, if the tests have it, too. It ends with 66 when it finds anything.
func raced(t *testing.T) string { return build(t, "seatrial"+strings.Join(race, ""), race...) }

func build(t *testing.T, name string, flags ...string) string {
	t.Helper()
	binary.mu.Lock()
	defer binary.mu.Unlock()
	if binary.dir == "" {
		dir, err := os.MkdirTemp("", "seatrial-bin-")
		if err != nil {
			t.Fatal(err)
		}
		binary.dir = dir
	}
	path := filepath.Join(binary.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if out, err := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), ".")...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// scenario is one service on the lab's hosts, and the inventory that deploys it.
type scenario struct {
	t       *testing.T
	lab     *lab.Lab
	hosts   []*lab.Host
	name    string // of the service; its unit is NAME.service
	port    int
	dir     string
	extra   string   // more TOML of the service
	rollout string   // TOML of [environments.lab.rollout]
	units   []string // files, when there are several
	window  string
	start   string
}

const app = "/usr/local/bin/app.pl"

// newScenario is one on all three hosts.
func newScenario(t *testing.T, name string, port int) *scenario {
	t.Helper()
	return scenarioOn(t, web.Lab(t), name, port)
}

// on narrows a scenario that is about one host only to this one.
func (s *scenario) on(host string) *scenario {
	if !lab.Full() {
		s.hosts = []*lab.Host{s.lab.Host(host)}
	}
	return s
}

func scenarioOn(t *testing.T, l *lab.Lab, name string, port int) *scenario {
	t.Helper()
	s := &scenario{t: t, lab: l, hosts: l.Hosts, name: name, port: port, dir: t.TempDir(), window: "3s", start: "10s"}
	text, err := os.ReadFile("testdata/app.pl")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range s.hosts {
		if err := h.Put(app, string(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// unit is a unit that runs the app.
func (s *scenario) unit(more string, words ...string) string {
	return fmt.Sprintf("[Unit]\nDescription=%s\n[Service]\nExecStart=%s --listen=127.0.0.1:%d %s\n%s\n[Install]\nWantedBy=multi-user.target\n",
		s.name, app, s.port, strings.Join(words, " "), more)
}

// write makes the inventory and the unit that is to be deployed.
func (s *scenario) write(unit string) {
	s.t.Helper()
	units := fmt.Sprintf("unit = %q", s.name+".service")
	if s.units != nil {
		units = `units = ["` + strings.Join(s.units, `", "`) + `"]`
	}
	text := s.lab.InventorySSH() + fmt.Sprintf(`
[services.%[1]s]
%[7]s
start_timeout = %[2]q
[services.%[1]s.settle]
window = %[3]q
allow_short = true
[services.%[1]s.verify]
listen = ["127.0.0.1:%[4]d"]
timeout = "4s"
[[services.%[1]s.verify.http]]
url = "http://127.0.0.1:%[4]d/healthz"
contains = '"ok": true'
%[5]s
[environments.lab]
[environments.lab.rollout]
%[6]s
`, s.name, s.start, s.window, s.port, s.extra, s.rollout, units)
	for _, h := range s.hosts {
		text += fmt.Sprintf("[[environments.lab.hosts]]\nname = %q\naddress = %q\n", h.Name, h.Addr)
	}
	s.file("inventory.toml", text)
	s.file(s.name+".service", unit)
}

func (s *scenario) file(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// result of one command.
type result struct {
	t           *testing.T
	code        int
	out, err    string
	description string
}

// run runs seatrial in the controller's network namespace.
func (s *scenario) run(args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	cmd := s.command(ctx, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		s.t.Fatal(err)
	}
	r := result{s.t, cmd.ProcessState.ExitCode(), out.String(), errs.String(), strings.Join(args, " ")}
	s.t.Logf("seatrial %s: exit %d\n%s%s", r.description, r.code, r.err, r.out)
	return r
}

func (s *scenario) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := s.lab.Command(ctx, append([]string{seatrial(s.t)}, args...)...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(s.dir, "state"))
	return cmd
}

func (r result) exits(code int) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("seatrial %s: exit code %d, want %d", r.description, r.code, code)
	}
	return r
}

// says wants each text somewhere in the output.
func (r result) says(texts ...string) result {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.out+r.err, text) {
			r.t.Errorf("seatrial %s does not say %q", r.description, text)
		}
	}
	return r
}

func (r result) saysNot(texts ...string) result {
	r.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.out+r.err, text) {
			r.t.Errorf("seatrial %s says %q", r.description, text)
		}
	}
	return r
}

// outcomes are the hosts' outcomes of a run with --json.
func (r result) outcomes() map[string]string {
	r.t.Helper()
	var last struct {
		Type     string
		ExitCode int `json:"exit_code"`
		Hosts    []struct{ Host, Outcome string }
	}
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Type != "run.finished" || last.ExitCode != r.code {
		r.t.Fatalf("the last line of JSON is not the run's end with exit code %d: %v\n%s", r.code, err, lines[len(lines)-1])
	}
	all := map[string]string{}
	for _, h := range last.Hosts {
		all[h.Host] = h.Outcome
	}
	return all
}

func (r result) allRolledBack(hosts []*lab.Host) {
	r.t.Helper()
	got := r.outcomes()
	for _, h := range hosts {
		if got[h.Name] != "rolled-back" {
			r.t.Errorf("seatrial %s: %s is %q, want rolled-back", r.description, h.Name, got[h.Name])
		}
	}
}

// sh is what a script says on the host, without the last newline.
func sh(t *testing.T, h *lab.Host, script string) string {
	t.Helper()
	out, err := h.Sh(script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out, "\n")
}

// wrong looks at a host from outside: the unit is exactly this one (empty: there is none), it runs or it does not, and
// nothing of a transaction is left. It returns what is not so.
func (s *scenario) wrong(h *lab.Host, unit string, runs bool) []string {
	s.t.Helper()
	name := s.name + ".service"
	probe := sh(s.t, h, fmt.Sprintf(`
cat /etc/systemd/system/%[1]s 2>/dev/null; printf '@@'
ls -A /run/systemd/system.control 2>/dev/null | grep -F %[1]s
ls -A /etc/systemd/system | grep -F .seatrial-%[1]s
ls -d /run/seatrial/%[2]s 2>/dev/null
printf '@@'
systemctl show -p ActiveState,NeedDaemonReload,FragmentPath -- %[1]s`, name, s.name))
	parts := strings.SplitN(probe, "@@", 3)
	var wrong []string
	if strings.TrimSpace(parts[0]) != strings.TrimSpace(unit) {
		wrong = append(wrong, "the unit on disk is not the expected one:\n"+parts[0])
	}
	if left := strings.TrimSpace(parts[1]); left != "" {
		wrong = append(wrong, "left behind: "+left)
	}
	if active := strings.Contains(parts[2], "ActiveState=active\n"); active != runs {
		wrong = append(wrong, "runs: "+parts[2])
	}
	if strings.Contains(parts[2], "NeedDaemonReload=yes") {
		wrong = append(wrong, "systemd has not loaded what is on disk")
	}
	if unit != "" && !strings.Contains(parts[2], "FragmentPath=/etc/systemd/system/") {
		wrong = append(wrong, "loaded from elsewhere: "+parts[2])
	}
	return wrong
}

// is wants every host of the scenario to have exactly this unit.
func (s *scenario) is(unit string, runs bool) {
	s.t.Helper()
	for _, h := range s.hosts {
		s.hostIs(h, unit, runs)
	}
}

func (s *scenario) hostIs(h *lab.Host, unit string, runs bool) {
	s.t.Helper()
	for _, w := range s.wrong(h, unit, runs) {
		s.t.Errorf("%s: %s", h.Name, w)
	}
}

// invocations of the unit on all hosts: which start runs.
func (s *scenario) invocations() string {
	var all []string
	for _, h := range s.hosts {
		all = append(all, sh(s.t, h, "systemctl show -p InvocationID,NRestarts -- "+s.name+".service"))
	}
	return strings.Join(all, "\n")
}
