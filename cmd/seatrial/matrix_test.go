package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatrial/seatrial/cmd/internal/lab"
)

// The fault matrix: whoever dies, and wherever, the host ends on exactly the old release or exactly the new one,
// running, with nothing left lying about, and reports are true. A part of it runs always;
//
//	SEATRIAL_MATRIX=full go test ./cmd/seatrial -run Matrix -timeout 60m -v
//
// runs all of it. SEATRIAL_MATRIX=off leaves it out. Clocks are not set: hosts of the lab have this machine's; that no
// script decides by one is TestNoScriptDecidesByTheClock.
func TestMatrix(t *testing.T) {
	m := newMatrix(t)
	m.measure()
	m.side(m.controllerKilled(), m.scriptKilled(), m.rollbackKilled(), m.guardKilled())
	m.hosts((*matrix).hostFaults)
	t.Log("\n" + m.table())
}

// suites of the lab, and their systemd.
var suites = []struct{ suite, systemd string }{{"bullseye", "247"}, {"bookworm", "252"}, {"trixie", "257"}}

type matrix struct {
	t    *testing.T
	lab  *lab.Lab
	full bool
	bin  string
	dir  string
	gate map[*lab.Host]chan struct{} // how many runs at once

	mu     sync.Mutex
	count  int
	all    []*trial
	good   map[string][]point // host and kind -> the commands of a good deploy
	undo   map[string][]point // and those of the rollback of a bad one
	events int                // of a good deploy
}

func newMatrix(t *testing.T) *matrix {
	if os.Getenv("SEATRIAL_MATRIX") == "off" {
		t.Skip("SEATRIAL_MATRIX=off")
	}
	var spec lab.Spec
	for _, s := range suites {
		spec.Hosts = append(spec.Hosts, lab.HostSpec{Name: s.suite, Suite: s.suite})
	}
	m := &matrix{t: t, full: os.Getenv("SEATRIAL_MATRIX") == "full", bin: "", dir: t.TempDir(),
		gate: map[*lab.Host]chan struct{}{}, good: map[string][]point{}, undo: map[string][]point{}}
	m.lab = lab.Start(t, spec)
	m.bin = seatrial(t)
	crash := filepath.Join(m.dir, "crash")
	build := exec.Command("go", "build", "-o", crash, "./testdata/crash")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, h := range m.lab.Hosts {
		m.gate[h] = make(chan struct{}, 5)
		m.equip(h, crash)
	}
	return m
}

// equip gives a host the app, and the command that plays crashes in front of all that write.
func (m *matrix) equip(h *lab.Host, crash string) {
	for path, from := range map[string]string{app: "testdata/app.pl", "/usr/local/lib/crash": crash} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = h.Put(path, string(text), 0o755)
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
	more := "MaxStartups 500\n"
	if h.Name == "trixie" {
		more += "PerSourcePenalties no\n"
	}
	if err := h.Put("/etc/ssh/sshd_config.d/matrix.conf", more, 0o644); err != nil {
		m.t.Fatal(err)
	}
	sh(m.t, h, `systemctl restart ssh.service
for c in mv cp rm sync systemctl mkdir rmdir chmod chown systemd-run flock cat; do ln -sf /usr/local/lib/crash /usr/local/sbin/$c; done`)
}

// trial makes a trial. Its service has a name that is part of no other.
func (m *matrix) trial(h *lab.Host, class string, k kind) *trial {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	x := &trial{matrix: m, host: h, class: class, kind: k, port: 10000 + m.count, service: fmt.Sprintf("m%04dx", m.count)}
	x.dir = filepath.Join(m.dir, x.service)
	if err := os.Mkdir(x.dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	return x
}

// enter waits for a place on the host; the lease is not waited for inside.
func (x *trial) enter() (release func()) {
	x.gate[x.host] <- struct{}{}
	return func() { <-x.gate[x.host] }
}

// done takes the trial into the account.
func (x *trial) done() {
	if len(x.wrongs) > 0 {
		x.t.Errorf("%s, %s: %s (%s, kind %d): %s\n%s", x.host.Name, x.class, x.what, x.service, x.kind, strings.Join(x.wrongs, "; "), x.evidence())
	} else {
		x.remove()
	}
	x.matrix.mu.Lock()
	defer x.matrix.mu.Unlock()
	x.all = append(x.all, x)
}

// A part is a trial and what happens in it.
type part struct {
	x  *trial
	do func()
}

// side does trials side by side: at most so many runs at once on each host, while others wait for a lease to end.
func (m *matrix) side(lists ...[]part) {
	var all sync.WaitGroup
	queues := map[*lab.Host][]part{}
	for _, list := range lists {
		for _, p := range list {
			queues[p.x.host] = append(queues[p.x.host], p)
		}
	}
	for _, queue := range queues {
		places := make(chan struct{}, 40)
		all.Go(func() {
			for _, p := range queue {
				places <- struct{}{}
				all.Go(func() {
					defer func() { <-places }()
					if err := p.x.prepare(); err != nil {
						p.x.wrong("%v", err)
					} else {
						p.do()
					}
					p.x.done()
				})
			}
		})
	}
	all.Wait()
}

// hosts does something on each host at once.
func (m *matrix) hosts(do func(*matrix, *lab.Host)) {
	var all sync.WaitGroup
	for _, h := range m.lab.Hosts {
		all.Go(func() { do(m, h) })
	}
	all.Wait()
}

func key(h *lab.Host, k kind) string { return fmt.Sprintf("%s %d", h.Name, k) }

// measure deploys each kind without a fault, and a bad release, to learn the commands of the scripts.
func (m *matrix) measure() {
	var parts []part
	for _, h := range m.lab.Hosts {
		for k := range kinds {
			good := m.trial(h, "no fault", k)
			parts = append(parts, part{good, func() { good.measured(m.good, "deployed") }})
			bad := m.trial(h, "bad release", k)
			bad.bad = true
			parts = append(parts, part{bad, func() { bad.measured(m.undo, "rolled-back") }})
		}
	}
	m.side(parts)
	for name, points := range m.undo {
		m.undo[name] = slices.DeleteFunc(points, func(p point) bool { return p.verb != "rollback" })
	}
}

func (x *trial) measured(into map[string][]point, want string) {
	x.met = true
	if err := x.order(point{verb: "none"}, "never", "shells"); err != nil {
		x.wrong("%v", err)
	}
	x.what = "none"
	release := x.enter()
	c := x.start("deploy", "lab", "--json").wait(5 * time.Minute)
	release()
	if c.outcome() != want {
		x.wrong("the outcome is %q, want %q", c.outcome(), want)
	}
	points := x.trace()
	x.matrix.mu.Lock()
	into[key(x.host, x.kind)] = points
	x.events = max(x.events, len(c.lines))
	x.matrix.mu.Unlock()
	x.judge(20*time.Second, c.outcome())
}

// table is the account: for each class and host the trials whose fault happened, and the violations.
func (m *matrix) table() string {
	type row struct{ trials, wrong map[string]int }
	rows, order := map[string]*row{}, []string{}
	ends := map[string]int{}
	for _, x := range m.all {
		if !x.met && len(x.wrongs) == 0 {
			ends["not met"]++
			continue
		}
		if rows[x.class] == nil {
			rows[x.class] = &row{map[string]int{}, map[string]int{}}
			order = append(order, x.class)
		}
		rows[x.class].trials[x.host.Name]++
		ends[x.became]++
		if x.loud {
			ends["loud"]++
		}
		if x.late {
			ends["late"]++
		}
		if len(x.wrongs) > 0 {
			rows[x.class].wrong[x.host.Name]++
		}
	}
	slices.Sort(order)
	var b strings.Builder
	fmt.Fprintf(&b, "%-44s", "fault: trials/violations")
	for _, s := range suites {
		fmt.Fprintf(&b, " %14s", s.suite+" "+s.systemd)
	}
	sum, bad := 0, 0
	for _, class := range order {
		fmt.Fprintf(&b, "\n%-44s", class)
		for _, s := range suites {
			n, w := rows[class].trials[s.suite], rows[class].wrong[s.suite]
			sum, bad = sum+n, bad+w
			fmt.Fprintf(&b, " %14s", fmt.Sprintf("%d/%d", n, w))
		}
	}
	fmt.Fprintf(&b, "\n%d trials, %d violations; %d ended on the old release, %d on the new one; %d reports said that the outcome is not known;\n"+
		"%d were cleaned up at the next contact; %d faults did not come about and are not counted\n",
		sum, bad, ends["old"], ends["new"], ends["loud"], ends["late"], ends["not met"])
	return b.String()
}

func unbase64(text string) string {
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "not base64: " + text
	}
	return string(content)
}

// Wall clocks jump, so leases and windows go by the uptime: `date` only writes down when something was.
func TestNoScriptDecidesByTheClock(t *testing.T) {
	scripts, err := filepath.Glob("../../steps/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatal(err, scripts)
	}
	for _, script := range append(scripts, "../../remote/helper.sh") {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if strings.Contains(line, "EPOCH") || strings.Contains(line, "$(date") && !strings.HasPrefix(line, "printf ") {
				t.Errorf("%s looks at the clock: %s", script, line)
			}
		}
	}
}
