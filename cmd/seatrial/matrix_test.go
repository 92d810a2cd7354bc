package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/seatrial/seatrial/cmd/internal/lab"
)

// The fault matrix: whoever dies, and wherever, the host ends on exactly the old release or exactly the new one,
// running, with nothing left lying about, and reports are true. A part of it runs always;
//
//	SEATRIAL_MATRIX=full go test ./cmd/seatrial -run Matrix -timeout 12h -v
//
// runs all of it, in an order of its own, and says now and then how far it is. SEATRIAL_MATRIX=off leaves it out; SEATRIAL_MATRIX="network|power" or "full network|power" does the
// faults whose names match. SEATRIAL_MATRIX_TABLE=FILE writes the account there, too: go test keeps to itself what tests say
// that pass.
func TestMatrix(t *testing.T) {
	t.Parallel() // it waits for hosts most of the time
	m := newMatrix(t)
	m.measure()
	var all sync.WaitGroup
	all.Go(func() {
		m.side(m.wanted(m.controllerKilled(), m.scriptKilled(), m.rollbackKilled(), m.undoKilled(), m.guardKilled(), m.guardDies(), m.othersAtWork()))
	})
	for _, h := range m.lab.Hosts {
		all.Go(func() { m.play(m.rounds(h)) })
	}
	all.Wait()
	t.Log("\n" + m.table())
	if file := os.Getenv("SEATRIAL_MATRIX_TABLE"); file != "" {
		if err := os.WriteFile(file, []byte("\n== fault matrix\n"+m.table()), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// suites of the lab, and their systemd.
var suites = []struct{ suite, systemd string }{{"bullseye", "247"}, {"bookworm", "252"}, {"trixie", "257"}}

// Each suite has a host, of its own name, for the faults of one service, and one for those that hit a whole host, so that
// they do not wait for each other.
const whole = "-whole"

// The sample tries these faults on one suite each.
var sampled = map[string]string{
	"network cut for good": "bullseye", "network cut for 5 s": "bookworm", "clock set back by a day": "trixie",
	"clock set forward by a day": "bullseye", "sshd restarted": "bookworm", "ssh sessions killed": "trixie",
	"daemon-reload storm": "bullseye", "daemon-reexec storm": "bookworm", "host rebooted": "bullseye", "power lost": "bookworm",
	"controller killed at a random moment": "bullseye", "guard killed": "bookworm", "guard killed, then the controller": "trixie",
	"controller killed at an event": "trixie", "script killed at a command": "bookworm",
	"rollback killed at a command": "bullseye", "undo of a commit killed at a command": "trixie", "guard killed at a command": "bookworm",
	"unit stop by somebody else": "bookworm", "unit restart by somebody else": "trixie",
}

func suite(h *lab.Host) string { return strings.TrimSuffix(h.Name, whole) }

// rounds are those of the host.
func (m *matrix) rounds(h *lab.Host) []*round {
	if h.Name == suite(h) {
		return nil
	}
	return slices.Concat(m.networkCut(h), m.clockSet(h), m.disturbed(h), m.rebooted(h))
}

// tries says whether this run is about the fault on this host.
func (m *matrix) tries(h *lab.Host, class string) bool {
	only, ok := sampled[class]
	return m.only.MatchString(class) && (m.full || !ok || only == suite(h))
}

type matrix struct {
	t      *testing.T
	lab    *lab.Lab
	single []*lab.Host // for the faults of one service
	full   bool
	only   *regexp.Regexp // the faults that this run is about
	bin    string
	dir    string
	gate   *semaphore.Weighted // how many runs at once

	mu     sync.Mutex
	count  int
	all    []*trial
	good   map[string][]point // suite and kind -> the commands of a good deploy
	undo   map[string][]point // of the rollback of a bad one
	undone map[string][]point // and of the rollback of one that was committed
	events int                // of a good deploy
}

// runsAtOnce is how many runs a machine with two cores can do without being late for its leases.
const runsAtOnce = 8

func newMatrix(t *testing.T) *matrix {
	mode := os.Getenv("SEATRIAL_MATRIX")
	if mode == "off" {
		t.Skip("SEATRIAL_MATRIX=off")
	}
	only, full := strings.CutPrefix(mode, "full")
	var spec lab.Spec
	for _, s := range suites {
		spec.Hosts = append(spec.Hosts, lab.HostSpec{Name: s.suite, Suite: s.suite}, lab.HostSpec{Name: s.suite + whole, Suite: s.suite})
	}
	m := &matrix{t: t, full: full, only: regexp.MustCompile(strings.TrimSpace(only)), dir: t.TempDir(),
		gate: semaphore.NewWeighted(runsAtOnce), good: map[string][]point{}, undo: map[string][]point{}, undone: map[string][]point{}}
	m.lab = lab.Start(t, spec)
	for _, s := range suites {
		m.single = append(m.single, m.lab.Host(s.suite))
	}
	m.bin = seatrial(t)
	crash := m.build("crash", "-static", "testdata/crash/crash.c")
	clock := m.build("clock.so", "-shared", "-fPIC", "-nostdlib", "testdata/clock/clock.c")
	m.hosts(func(h *lab.Host) { m.equip(h, crash, clock) })
	return m
}

// build compiles a file for the hosts, whatever their libc is.
func (m *matrix) build(name string, args ...string) string {
	path := filepath.Join(m.dir, name)
	if out, err := exec.Command("cc", append([]string{"-O2", "-o", path}, args...)...).CombinedOutput(); err != nil {
		m.t.Fatalf("cc %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return path
}

// equip gives a host the app, and the command that plays crashes in front of all that write.
func (m *matrix) equip(h *lab.Host, crash, clock string) {
	for path, from := range map[string]string{app: "testdata/app.pl", "/usr/local/lib/crash": crash, "/usr/local/lib/clock.so": clock} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = h.Put(path, string(text), 0o755)
		}
		if err != nil {
			m.t.Error(err)
		}
	}
	more := "MaxStartups 500\n"
	if suite(h) == "trixie" {
		more += "PerSourcePenalties no\n"
	}
	if err := h.Put("/etc/ssh/sshd_config.d/matrix.conf", more, 0o644); err != nil {
		m.t.Error(err)
	}
	if _, err := h.Sh(`systemctl restart ssh.service
for c in mv cp rm sync systemctl mkdir rmdir chmod chown systemd-run flock cat; do ln -sf /usr/local/lib/crash /usr/local/sbin/$c; done
case $1 in *`+whole+`) `+preload+` ;; esac`, h.Name); err != nil {
		m.t.Error(err)
	}
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

// enter waits until so many runs may begin; no lease is waited for inside.
func (m *matrix) enter(runs int) (release func()) {
	_ = m.gate.Acquire(context.Background(), int64(runs)) // without a deadline it does not fail
	return func() { m.gate.Release(int64(runs)) }
}

func (x *trial) enter() (release func()) { return x.matrix.enter(1) }

// wanted are those that this run of the matrix is about.
func (m *matrix) wanted(lists ...[]part) []part {
	return slices.DeleteFunc(slices.Concat(lists...), func(p part) bool { return !m.tries(p.x.host, p.x.class) })
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
	if len(x.all)%100 == 0 {
		x.t.Log("so far:\n" + x.table())
	}
}

// A part is a trial and what happens in it.
type part struct {
	x  *trial
	do func()
}

// shuffle makes a run that is cut short one about all faults.
func shuffle[T any](list []T) {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// side does trials side by side: at most so many runs at once on each host, while others wait for a lease to end.
func (m *matrix) side(parts []part) {
	shuffle(parts)
	var all sync.WaitGroup
	queues := map[*lab.Host][]part{}
	for _, p := range parts {
		queues[p.x.host] = append(queues[p.x.host], p)
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
func (m *matrix) hosts(do func(*lab.Host)) {
	var all sync.WaitGroup
	for _, h := range m.lab.Hosts {
		all.Go(func() { do(h) })
	}
	all.Wait()
}

func key(h *lab.Host, k kind) string { return fmt.Sprintf("%s %d", suite(h), k) }

// meets says whether services of the kind are tried on the host: of each kind, or in the sample of one, another on each suite.
func (m *matrix) meets(h *lab.Host, k kind) bool { return m.full || int(k) == m.turn(h) }

// measure deploys each kind without a fault, and a bad release, to learn the commands of the scripts.
func (m *matrix) measure() {
	var parts []part
	for _, h := range m.single {
		for k := range kinds {
			if !m.meets(h, k) {
				continue
			}
			good := m.trial(h, "no fault", k)
			parts = append(parts, part{good, func() { good.measured(m.good, "deployed") }})
			bad := m.trial(h, "bad release", k)
			bad.bad = true
			parts = append(parts, part{bad, func() { bad.measured(m.undo, "rolled-back") }})
			undone := m.trial(h, "committed, and undone", k)
			undone.undone = true
			parts = append(parts, part{undone, func() { undone.measured(m.undone, "rolled-back") }})
		}
	}
	m.side(parts)
	for _, lists := range []map[string][]point{m.undo, m.undone} {
		for name, points := range lists {
			lists[name] = slices.DeleteFunc(points, func(p point) bool { return p.verb != "rollback" })
		}
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
	if want == "deployed" {
		x.events = max(x.events, len(c.lines))
	}
	x.matrix.mu.Unlock()
	x.judge(20*time.Second, c.outcome())
}

// table is the account: for each class and host the trials whose fault happened, and the violations.
func (m *matrix) table() string {
	type row struct{ trials, wrong map[string]int }
	rows, order := map[string]*row{}, []string{}
	ends := map[string]int{}
	for _, x := range m.all {
		if rows[x.class] == nil {
			rows[x.class] = &row{map[string]int{}, map[string]int{}}
			order = append(order, x.class)
		}
		if !x.met && len(x.wrongs) == 0 {
			ends["not met"]++
			continue
		}
		rows[x.class].trials[suite(x.host)]++
		ends[x.became]++
		if x.loud {
			ends["loud"]++
		}
		if x.late {
			ends["late"]++
		}
		if len(x.wrongs) > 0 {
			rows[x.class].wrong[suite(x.host)]++
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
		if m.full && len(rows[class].trials) == 0 {
			m.t.Errorf("%s: none of these faults came about", class)
		}
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
