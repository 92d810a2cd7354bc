package plans

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/remote"
)

// mortal is a fleet whose runs keep a journal and can be killed: from then on nothing reaches a host, and nothing more is
// in the journal that is left behind.
type mortal struct {
	*fleet
	net  wires
	dir  string // of the journals
	left string // what a dead run left of it

	once sync.Once
	gone chan struct{}
}

func newMortal(t *testing.T, n int) *mortal {
	m := &mortal{fleet: short(t, n, unit("old"), unit("new")), dir: t.TempDir(), left: t.TempDir(), gone: make(chan struct{})}
	m.dial.NetDial = m.net.dial
	m.runner.Journal = func(run JournalRun) (*Journal, error) { return CreateJournal(m.dir, run) }
	return m
}

// kill is called while the run may not write to its journal: from an event, or in the middle of a batch.
func (m *mortal) kill() {
	m.once.Do(func() {
		for name := range m.hosts {
			m.unplug(name)
		}
		ids, _ := Runs(m.dir)
		for _, id := range ids {
			text, err := os.ReadFile(journalPath(m.dir, id))
			if err == nil {
				err = os.WriteFile(journalPath(m.left, id), text, 0o600)
			}
			if err != nil {
				m.t.Error(err)
			}
		}
		m.net.cut()
		close(m.gone)
	})
}

// killBefore makes the run die before it asks a host for this.
func (m *mortal) killBefore(verb string) {
	m.runner.through = func(real asker) asker { return &dying{asker: real, m: m, verb: verb} }
}

type dying struct {
	asker
	m    *mortal
	verb string
}

func (d *dying) Do(ctx context.Context, batch []remote.Request, each func(remote.Reply)) ([]remote.Result, error) {
	i := slices.IndexFunc(batch, func(r remote.Request) bool { return r.Verb == d.verb })
	if i < 0 {
		return d.asker.Do(ctx, batch, each)
	}
	if i > 0 {
		if _, err := d.asker.Do(ctx, batch[:i], each); err != nil {
			return nil, err
		}
	}
	d.m.kill()
	return nil, remote.ErrLost
}

// die carries the order out until it is killed, and makes the hosts reachable again.
func (m *mortal) die() JournalRun {
	m.t.Helper()
	m.run(m.t.Context())
	select {
	case <-m.gone:
	default:
		m.t.Fatal("the run was not killed")
	}
	m.runner.through, m.each = nil, nil
	for name := range m.hosts {
		m.plugIn(name)
	}
	m.forget()
	return m.remembered()
}

// remembered is the run in the journal that was left; without an id when there is none.
func (m *mortal) remembered() JournalRun {
	m.t.Helper()
	ids, err := Runs(m.left)
	if err != nil || len(ids) == 0 {
		return JournalRun{}
	}
	run, err := ReadJournal(m.left, ids[0])
	if err != nil {
		m.t.Fatal(err)
	}
	return run
}

func (m *mortal) resume(died JournalRun) int {
	m.t.Helper()
	journal, err := ReopenJournal(m.left, died.ID)
	if err != nil {
		m.t.Fatal(err)
	}
	m.forget()
	return m.runner.Resume(m.t.Context(), m.order, died, journal)
}

// state rewrites a value of the host's record.
func (m *mortal) state(host, key, value string) {
	m.t.Helper()
	const path = "/var/lib/seatrial/web/record"
	text, err := m.hosts[host].ReadFile(path)
	if err == nil {
		changed := strings.Replace(string(text), key+"="+record(m.hosts[host], key)+"\n", key+"="+value+"\n", 1)
		err = m.hosts[host].WriteFile(path, []byte(changed), 0o600, "root", "root")
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// Whatever state the run left a host in, resume brings it to an end that the report tells truly.
func TestResumeInEveryState(t *testing.T) {
	t.Parallel()
	commit := func(m *mortal) { // the rename was the last thing
		h := m.hosts["web-1"]
		m.state("web-1", "state", "COMMITTING")
		if err := h.WriteFile(webPath, []byte(unit("new")), 0o644, "root", "root"); err != nil {
			m.t.Fatal(err)
		}
	}
	tests := []struct {
		name, before, state string // killed before this is asked for; the host is then in this state
		meanwhile           func(*mortal)
		outcome             Outcome
		text                string
	}{
		{"locked", "guard", "LOCKED", nil, RolledBack, "the run had died"},
		{"armed", "unit_copy", "ARMED", nil, RolledBack, "the run had died"},
		{"staged", "trial", "STAGED", nil, RolledBack, "the run had died"},
		{"trial prepared", "reload", "TRIAL", nil, RolledBack, "the run had died"},
		{"trial under way", "verify", "TRIAL", nil, RolledBack, "the run had died"},
		{"commit decided", "commit", "TRIAL", nil, Deployed, ""},
		{"commit decided, the new unit has died", "commit", "TRIAL", func(m *mortal) { m.hosts["web-1"].StopUnit("web.service") }, RolledBack, "no longer active"},
		{"commit decided, and the lease has ended", "commit", "TRIAL", func(m *mortal) { m.hosts["web-1"].Advance(2 * DefaultLease) }, RolledBack, "by itself"},
		{"commit begun", "commit", "TRIAL", func(m *mortal) { m.state("web-1", "state", "COMMITTING") }, Deployed, ""},
		{"commit cut short after the rename", "commit", "TRIAL", commit, Deployed, ""},
		{"commit cut short, and finished by the guard", "commit", "TRIAL", func(m *mortal) { commit(m); m.hosts["web-1"].Advance(2 * DefaultLease) }, Deployed, ""},
		{"commit cut short by a reboot", "commit", "TRIAL", func(m *mortal) { commit(m); m.hosts["web-1"].Reboot() }, Deployed, ""},
		{"rebooted in the trial", "verify", "TRIAL", func(m *mortal) { m.hosts["web-1"].Reboot() }, RolledBack, "the run had died"},
		{"gone back by itself", "verify", "TRIAL", func(m *mortal) { m.hosts["web-1"].Advance(2 * DefaultLease) }, RolledBack, "by itself"},
		{"another run has been here", "verify", "TRIAL", func(m *mortal) {
			m.hosts["web-1"].Advance(2 * DefaultLease)
			m.state("web-1", "token", "another")
		}, SkippedHost, "another run"},
		{"another run has committed the same", "commit", "TRIAL", func(m *mortal) {
			died := m.remembered()
			m.resume(died)
			m.state("web-1", "token", "another")
		}, Unchanged, "another run has been here since; the files are those of this release"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMortal(t, 1)
			m.killBefore(tt.before)
			died := m.die()
			if died.Finished() != nil || len(died.Unsettled()) != 1 || record(m.hosts["web-1"], "state") != tt.state {
				t.Fatalf("%+v; the host is in state %s", died, record(m.hosts["web-1"], "state"))
			}
			if tt.meanwhile != nil {
				tt.meanwhile(m)
			}
			code := m.resume(died)
			got := m.result("web-1")
			if got.Outcome != tt.outcome || code != tt.outcome.exitCode() || !strings.Contains(got.Text, tt.text) {
				t.Errorf("exit code %d, %+v", code, got)
			}
			m.holds("web-1", unit("old"), unit("new"))
			if tt.outcome != SkippedHost {
				if err := leftovers(m.hosts["web-1"]); err != nil {
					t.Error(err)
				}
			}
			if again := m.remembered(); again.Finished() == nil || len(again.Unsettled()) != 0 {
				t.Errorf("resumed, and not settled: %+v", again.Unsettled())
			}
			if t.Failed() {
				t.Log(strings.Join(lines(m.events), "\n"))
			}
		})
	}
}

// The old unit is back, and does not run: that is what a person must be told.
func TestResumeFindsTheOldUnitDead(t *testing.T) {
	t.Parallel()
	m := newMortal(t, 1)
	m.killBefore("verify")
	died := m.die()
	m.hosts["web-1"].Advance(2 * DefaultLease)
	m.hosts["web-1"].StopUnit("web.service")
	if code := m.resume(died); code != ExitLook || m.outcomes() != "rollback-failed" {
		t.Errorf("exit code %d, %+v", code, m.results())
	}
}

// A restart whose run died changed no file: what counts is whether the unit runs.
func TestResumeOfARestart(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"lock", "start", "settle", "verify", "release"} {
		for _, runs := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, it runs: %v", before, runs), func(t *testing.T) {
				t.Parallel()
				m := newMortal(t, 1)
				m.order.Plan = Restart()
				m.killBefore(before)
				died := m.die()
				want, code := Unchanged, ExitOK
				if before == "lock" {
					want = SkippedHost // nothing was begun
				}
				if !runs && before == "release" {
					return // it was verified
				}
				if !runs && before != "lock" {
					m.hosts["web-1"].Advance(2 * time.Second) // the job is done
					m.hosts["web-1"].StopUnit("web.service")
					want, code = RollbackFailed, ExitLook
				}
				if got := m.resume(died); got != code || m.result("web-1").Outcome != want {
					t.Errorf("exit code %d, %+v", got, m.results())
				}
				if want != RollbackFailed {
					m.holds("web-1", unit("old"), unit("old"))
				}
			})
		}
	}
}

// A host that is away is pending; the next resume settles it.
func TestResumeWithoutAHost(t *testing.T) {
	t.Parallel()
	m := newMortal(t, 2)
	m.killBefore("verify")
	died := m.die()
	m.unplug("web-2")
	code := m.resume(died)
	if code != ExitFailed || m.outcomes() != "rolled-back unreachable" || !strings.Contains(m.result("web-2").Text, "pending") {
		t.Errorf("exit code %d, %+v", code, m.results())
	}
	again := m.remembered()
	if away := again.Unsettled(); len(away) != 1 || away[0].Host != "web-2" {
		t.Fatalf("unsettled: %+v", away)
	}
	m.plugIn("web-2")
	if code := m.resume(again); code != ExitFailed || m.outcomes() != "rolled-back rolled-back" {
		t.Errorf("exit code %d, %+v", code, m.results())
	}
	m.runs("web-2", unit("old"))
	if again = m.remembered(); len(again.Unsettled()) > 0 {
		t.Errorf("unsettled: %+v", again.Unsettled())
	}

	m = newMortal(t, 1)
	m.killBefore("verify")
	died = m.die()
	m.unplug("web-1")
	if code := m.resume(died); code != ExitRefused || m.outcomes() != "unreachable" {
		t.Errorf("exit code %d, %+v", code, m.results())
	}
}

// Some hosts have committed, others have not: the policy decides.
func TestResumeOfADividedFleet(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{inventory.RollbackAll: "rolled-back rolled-back",
		inventory.RollbackFailed: "deployed rolled-back", inventory.Halt: "deployed rolled-back"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			m := newMortal(t, 2)
			m.rollout().OnFailure, m.rollout().Waves = policy, []inventory.Share{{Percent: 50}}
			m.each = func(_ int, e Event) {
				if e.Type == WaveFinished && e.Wave == 1 {
					m.kill()
				}
			}
			died := m.die()
			if code := m.resume(died); code != ExitFailed || m.outcomes() != want {
				t.Errorf("exit code %d, %+v", code, m.results())
			}
			m.holds("web-1", unit("old"), unit("new"))
			m.runs("web-2", unit("old"))
		})
	}
}

// A journal that cannot be written is found before anything is changed, or before the first commit: the hosts go back.
func TestRunWithoutAJournal(t *testing.T) {
	t.Parallel()
	m := newMortal(t, 2)
	m.runner.Journal = func(run JournalRun) (*Journal, error) {
		return CreateJournal(filepath.Join(m.key, "no directory"), run)
	}
	if code := m.run(t.Context()); code != ExitUsage || m.outcomes() != "skipped skipped" || !strings.Contains(m.result("web-1").Text, "run journal") {
		t.Errorf("exit code %d, %+v", code, m.results())
	}
	if m.hosts["web-1"].Exists("/var/lib/seatrial") {
		t.Error("the host was changed before there was a journal")
	}

	m.runner.Journal = func(run JournalRun) (*Journal, error) {
		j, err := CreateJournal(m.dir, run)
		m.each = func(_ int, e Event) {
			if line(e) == "step.started web-1 settle" {
				_ = j.file.Close()
			}
		}
		return j, err
	}
	m.forget()
	if code := m.run(t.Context()); code != ExitFailed || m.outcomes() != "rolled-back rolled-back" || !strings.Contains(m.result("web-1").Text, "run journal") {
		t.Errorf("exit code %d, %+v", code, m.results())
	}
	for _, h := range []string{"web-1", "web-2"} {
		m.runs(h, unit("old"))
		if text, _ := m.hosts[h].ReadFile("/var/lib/seatrial/web/history"); strings.Contains(string(text), " committed ") {
			t.Errorf("%s: committed without a journal:\n%s", h, text)
		}
	}
}

// The decision is on the disk before a host is asked to commit: what was only written would be lost with the machine.
func TestDecisionComesFirst(t *testing.T) {
	t.Parallel()
	m := newMortal(t, 2)
	disk := &disk{m: m}
	m.runner.Journal = func(run JournalRun) (*Journal, error) {
		j, err := CreateJournal(m.dir, run)
		j.sync = func() error { return disk.sync(j) }
		return j, err
	}
	m.runner.through = func(real asker) asker { return &looking{real, disk} }
	m.expect(m.run(t.Context()), ExitOK, "deployed deployed")
	if disk.commits != 2 {
		t.Errorf("%d hosts were asked to commit", disk.commits)
	}
}

// disk is what a machine that loses its power now would have of the journal.
type disk struct {
	m *mortal

	mu      sync.Mutex
	text    []byte
	commits int
}

func (d *disk) sync(j *Journal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	text, err := os.ReadFile(j.file.Name())
	d.text = text
	return errors.Join(err, j.file.Sync())
}

// looking reads the disk whenever a host is about to be asked to commit.
type looking struct {
	asker
	disk *disk
}

func (l *looking) Do(ctx context.Context, batch []remote.Request, each func(remote.Reply)) ([]remote.Result, error) {
	for _, r := range batch {
		if r.Verb == "commit" {
			l.disk.asked(r.Args[1])
		}
	}
	return l.asker.Do(ctx, batch, each)
}

func (d *disk) asked(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits++
	if err := os.WriteFile(journalPath(d.m.left, "disk"), d.text, 0o600); err != nil {
		d.m.t.Error(err)
	}
	run, err := ReadJournal(d.m.left, "disk")
	if err != nil || !slices.ContainsFunc(run.Decided, func(l JournalLane) bool { return l.Token == token }) {
		d.m.t.Errorf("%s is asked to commit; on the disk are the decisions %v, %v", token, run.Decided, err)
	}
}

// The property: the run dies at any event, and is resumed. Every host is then exactly old or exactly new, all the same, and
// the report says which.
func TestResumeAfterEveryEvent(t *testing.T) {
	t.Parallel()
	for name, waves := range map[string][]inventory.Share{"one wave": nil, "two waves": {{Percent: 50}}} {
		for at := range eventsOf(t, 2) + 2*len(waves) {
			t.Run(fmt.Sprint(name, ", event ", at+1), func(t *testing.T) {
				t.Parallel()
				m := newMortal(t, 2)
				m.rollout().Waves = waves
				m.killAndResume(at + 1)
			})
		}
	}
}

func (m *mortal) killAndResume(at int) {
	var seen Event
	m.each = func(n int, e Event) {
		if n == at {
			seen = e
			m.kill()
		}
	}
	died := m.die()
	hosts := []string{"web-1", "web-2"}
	if died.ID == "" { // nothing is known of the run, so it has changed nothing
		for _, h := range hosts {
			m.runs(h, unit("old"))
			if m.hosts[h].Exists("/var/lib/seatrial") {
				m.t.Errorf("%s was changed before there was a journal", h)
			}
		}
		return
	}
	code := m.resume(died)
	now := map[string]bool{}
	for _, h := range hosts {
		m.quiet(h)
		m.holds(h, unit("old"), unit("new"))
		now[m.hosts[h].Unit("web.service").Running] = true
		if o := m.result(h).Outcome; o == UnknownOutcome || o == Unreachable {
			m.t.Errorf("%s is reported %s", h, o)
		}
	}
	if last := m.events[len(m.events)-1]; len(now) != 1 || *last.ExitCode != code {
		m.t.Errorf("exit code %d, reported %d; the fleet is divided: %v", code, *last.ExitCode, m.results())
	}
	for _, h := range hosts { // and stays so
		m.dead(h)
		m.holds(h, unit("old"), unit("new"))
	}
	if m.t.Failed() {
		m.t.Logf("killed at: %s; exit code %d, %+v\n%s", line(seen), code, m.results(), strings.Join(lines(m.events), "\n"))
	}
}
