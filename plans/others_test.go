package plans

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/inventory"
)

// again carries out another plan on the same hosts.
func (f *fleet) again(ctx context.Context, p Plan, fresh string) int {
	f.forget()
	f.order.Plan = p
	f.order.Services = []*inventory.Service{web(fresh)}
	f.order.Services[0].Settle.Window = 2 * time.Second
	return f.run(ctx)
}

func (f *fleet) expect(code, want int, outcomes string) {
	f.t.Helper()
	if code != want || f.outcomes() != outcomes {
		f.t.Errorf("exit code %d, want %d; outcomes %s, want %s\n%+v", code, want, f.outcomes(), outcomes, f.results())
	}
}

// clock makes every run one second later than the one before, as release ids need it.
func (f *fleet) clock() {
	at := f.runner.Now()
	f.runner.Now = func() time.Time {
		f.mu.Lock()
		defer f.mu.Unlock()
		at = at.Add(time.Second)
		return at
	}
}

func TestRollbackPlan(t *testing.T) {
	t.Parallel()
	f := short(t, 2, unit("old"), unit("new"))
	f.clock()
	f.expect(f.run(t.Context()), ExitOK, "deployed deployed")
	first := f.result("web-1").Release

	f.expect(f.again(t.Context(), Deploy(), unit("newer")), ExitOK, "deployed deployed")
	f.expect(f.again(t.Context(), Deploy(), unit("newer")), ExitOK, "unchanged unchanged")

	f.expect(f.again(t.Context(), Rollback(), unit("whatever the inventory says")), ExitOK, "deployed deployed")
	if got := f.result("web-1").Release; got != first {
		t.Errorf("back to %s, want %s", got, first)
	}
	f.runs("web-1", unit("new"))

	f.expect(f.again(t.Context(), Rollback(), unit("x")), ExitOK, "deployed deployed") // to what was found by hand
	f.runs("web-2", unit("old"))

	f.expect(f.again(t.Context(), Rollback(), unit("x")), ExitRefused, "refused refused")
	if r := f.result("web-1"); !strings.Contains(r.Text, "there is no release to go back to") {
		t.Errorf("%+v", r)
	}
	f.order.To = "20200101T000000Z-00000000"
	f.expect(f.again(t.Context(), Rollback(), unit("x")), ExitRefused, "refused refused")
	f.order.To = first
	f.expect(f.again(t.Context(), Rollback(), unit("x")), ExitOK, "deployed deployed")
	f.runs("web-1", unit("new"))
}

// A unit that was made by hand comes back with its mode and owner, which are no drift.
func TestRollbackToAHandMadeUnit(t *testing.T) {
	t.Parallel()
	f := short(t, 1, unit("old"), unit("new"))
	f.clock()
	h := f.hosts["web-1"]
	if err := h.WriteFile(webPath, []byte(unit("old")), 0o640, "www-data", "adm"); err != nil {
		t.Fatal(err)
	}
	attributes := func(want string) {
		t.Helper()
		if mode, owner, group, err := h.Stat(webPath); err != nil || fmt.Sprintf("%s:%s %o", owner, group, mode) != want {
			t.Errorf("%s:%s %o, want %s, %v", owner, group, mode, want, err)
		}
	}
	f.expect(f.run(t.Context()), ExitOK, "deployed")
	attributes("root:root 644")
	for range 2 { // the second time from what the rollback has kept
		f.expect(f.again(t.Context(), Rollback(), unit("x")), ExitOK, "deployed")
		f.runs("web-1", unit("old"))
		attributes("www-data:adm 640")
		f.expect(f.again(t.Context(), Deploy(), unit("newer")), ExitOK, "deployed")
		attributes("root:root 644")
	}
	f.expect(f.again(t.Context(), Rollback(), unit("x")), ExitOK, "deployed")
	run := f.runner.Survey(t.Context(), f.order)
	defer run.Close()
	if p := run.Preview()[0]; p.Drift != nil {
		t.Errorf("drift: %q", p.Drift)
	}
}

// A release that failed is not gone back to, and the release that runs is named.
func TestRollbackAfterAFailure(t *testing.T) {
	t.Parallel()
	f := short(t, 1, unit("old"), unit("new"))
	f.clock()
	f.expect(f.run(t.Context()), ExitOK, "deployed")
	good := f.result("web-1").Release
	f.expect(f.again(t.Context(), Deploy(), unit("--crash-after=1s")), ExitFailed, "rolled-back")
	if got := f.result("web-1").Release; got != good {
		t.Errorf("runs %q, want %q", got, good)
	}
	f.expect(f.again(t.Context(), Rollback(), unit("x")), ExitOK, "deployed")
	f.runs("web-1", unit("old"))
}

// Five good releases are kept and five bad ones, and a rollback passes over the bad.
func TestRetention(t *testing.T) {
	t.Parallel()
	f := short(t, 1, unit("old"), unit("good 0"))
	f.clock()
	var want []string
	for i := range 7 {
		f.expect(f.again(t.Context(), Deploy(), unit(fmt.Sprintf("good %d", i))), ExitOK, "deployed")
		want = append(want, f.result("web-1").Release)
	}
	want = want[2:]
	for i := range 6 {
		f.expect(f.again(t.Context(), Deploy(), unit(fmt.Sprintf("--crash-after=1s bad %d", i))), ExitFailed, "rolled-back")
	}
	const releases = "/var/lib/seatrial/web/releases/"
	var good []string
	bad := 0
	for _, path := range f.hosts["web-1"].List(releases) {
		id, file, _ := strings.Cut(strings.TrimPrefix(path, releases), "/")
		switch text, err := f.hosts["web-1"].ReadFile(path); {
		case file != "web.service":
		case err != nil:
			t.Fatal(err)
		case strings.Contains(string(text), "bad"):
			bad++
		default:
			good = append(good, id)
		}
	}
	if !slices.Equal(good, want) || bad != 5 {
		t.Errorf("kept are the good %v and %d bad ones, want %v and 5", good, bad, want)
	}
	f.expect(f.again(t.Context(), Rollback(), unit("x")), ExitOK, "deployed")
	f.runs("web-1", unit("good 5"))
}

func TestRestartPlan(t *testing.T) {
	t.Parallel()
	f := short(t, 2, unit("old"), unit("new"))
	before := f.hosts["web-1"].Unit("web.service").InvocationID
	f.expect(f.again(t.Context(), Restart(), unit("new")), ExitOK, "unchanged unchanged")
	f.runs("web-1", unit("old")) // what is installed, not what the inventory has
	if f.hosts["web-1"].Unit("web.service").InvocationID == before {
		t.Error("it was not restarted")
	}
	if got := record(f.hosts["web-1"], "state"); got != "RELEASED" {
		t.Errorf("the record is in state %s", got)
	}
	_ = f.hosts["web-2"].Fail("start")
	f.expect(f.again(t.Context(), Restart(), unit("new")), ExitLook, "unchanged rollback-failed")
	f.runs("web-1", unit("old"))
}

// A restart that is called off leaves a unit that runs, and says whether it was restarted.
func TestRestartInterruptedAtEveryEvent(t *testing.T) {
	t.Parallel()
	f := short(t, 1, unit("old"), unit("old"))
	f.expect(f.again(t.Context(), Restart(), unit("old")), ExitOK, "unchanged")
	for at := range len(f.events) {
		t.Run(fmt.Sprint("event ", at+1), func(t *testing.T) {
			t.Parallel()
			f := short(t, 1, unit("old"), unit("old"))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			f.each = func(n int, _ Event) {
				if n == at+1 {
					cancel()
				}
			}
			before := f.hosts["web-1"].Unit("web.service").InvocationID
			code := f.again(ctx, Restart(), unit("old"))
			restarted := f.hosts["web-1"].Unit("web.service").InvocationID != before
			f.runs("web-1", unit("old"))
			want, outcome := ExitInterrupted, map[bool]Outcome{true: Unchanged, false: SkippedHost}[restarted]
			if slices.ContainsFunc(f.events[:at+1], func(e Event) bool { return e.Step == "release" }) {
				want, outcome = ExitOK, Unchanged // it came too late
			}
			if r := f.result("web-1"); code != want || r.Outcome != outcome {
				t.Errorf("restarted: %v, exit code %d, %+v\n%s", restarted, code, r, strings.Join(lines(f.events), "\n"))
			}
		})
	}
}

func TestCheckPlan(t *testing.T) {
	t.Parallel()
	f := short(t, 2, unit("old"), unit("new"))
	f.expect(f.again(t.Context(), Check(), unit("new")), ExitOK, "unchanged unchanged")
	f.hosts["web-2"].StopUnit("web.service")
	f.expect(f.again(t.Context(), Check(), unit("new")), ExitFailed, "unchanged failed")
	for _, h := range f.hosts {
		if h.Exists("/var/lib/seatrial") || h.Exists("/run/seatrial") {
			t.Errorf("%s: a check left something behind", h.Name())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	f.each = func(_ int, e Event) {
		if e.Type == StepStarted && e.Step == "verify" {
			cancel()
		}
	}
	code := f.again(ctx, Check(), unit("new"))
	if code != ExitInterrupted || f.hosts["web-1"].Exists("/var/lib/seatrial") {
		t.Errorf("exit code %d, %+v", code, f.results())
	}
}

// Two runs meet: one of them deploys, the other is told who holds the host.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	f := short(t, 2, unit("old"), unit("new"))
	other := *f.runner
	var lost []Event
	other.Owner, other.Emit = "other@there", func(e Event) { lost = append(lost, e) }
	code := -1
	f.each = func(_ int, e Event) {
		if line(e) == "step.started web-1 settle" {
			run := other.Survey(t.Context(), f.order)
			code = run.Do(t.Context())
			run.Close()
		}
	}
	f.expect(f.run(t.Context()), ExitOK, "deployed deployed")
	if code != ExitLocked {
		t.Errorf("the other: exit code %d, %+v", code, lost)
	}
	if r := lost[len(lost)-1].Hosts[0]; r.Outcome != Refused || !strings.Contains(r.Text, "locked by tester@here") {
		t.Errorf("the other is told %+v", r)
	}
}

// All runs take the lease of the same host first, whatever the order of their inventories: who comes second has locked
// nothing, and stands in nobody's way.
func TestLeasesAreTakenInOrder(t *testing.T) {
	t.Parallel()
	f := short(t, 3, unit("old"), unit("new"))
	slices.Reverse(f.order.Environment.Hosts)
	other := *f.runner
	var second []Event
	other.Owner, other.Emit = "other@there", func(e Event) { second = append(second, e) }
	late := other.Survey(t.Context(), f.order) // it sees all hosts free
	defer late.Close()
	code := -1
	f.each = func(_ int, e Event) {
		if line(e) == "step.finished web-1 lock ok" {
			code = late.Do(t.Context())
		}
	}
	f.expect(f.run(t.Context()), ExitOK, "deployed deployed deployed")
	if code != ExitLocked {
		t.Errorf("the second: exit code %d", code)
	}
	for _, e := range second {
		if e.Step != "" && e.Host != "web-1" {
			t.Errorf("the second was at work elsewhere: %s", line(e))
		}
	}
	if at := slices.IndexFunc(f.events, func(e Event) bool { return e.Step == "lock" }); f.events[at].Host != "web-1" {
		t.Errorf("the first lease is that of %s", f.events[at].Host)
	}
}

// A run whose lease is stolen stops, and says truly what has become of its hosts: the thief undid the trial first, or has
// gone on from there.
func TestStolenLease(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		then    func(f *fleet, thief *Runner)
		outcome string
		code    int
		runs    string
	}{
		"and left alone":         {func(*fleet, *Runner) {}, "rolled-back", ExitFailed, unit("old")},
		"and used for a release": {func(f *fleet, thief *Runner) { f.deployed(thief, f.order) }, "unknown", ExitLook, unit("theirs")},
		"and the old one dies":   {func(f *fleet, _ *Runner) { f.hosts["web-1"].StopUnit("web.service") }, "unknown", ExitLook, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := short(t, 1, unit("old"), unit("new"))
			thief := *f.runner
			thief.Owner, thief.Emit = "thief@there", func(Event) {}
			f.each = func(_ int, e Event) {
				if line(e) != "step.started web-1 settle" {
					return
				}
				order := f.order
				order.Plan = Unlock(true)
				steal := thief.Survey(t.Context(), order)
				if code := steal.Do(t.Context()); code != ExitOK {
					t.Errorf("stealing: exit code %d", code)
				}
				steal.Close()
				tt.then(f, &thief)
			}
			f.expect(f.run(t.Context()), tt.code, tt.outcome)
			if r := f.result("web-1"); !strings.Contains(r.Text, "another run has taken over this host") || r.Hint == "" || r.Step == "" {
				t.Errorf("%+v", r)
			}
			if tt.runs != "" {
				f.runs("web-1", tt.runs)
			}
		})
	}
}

// deployed: somebody else has deployed theirs.
func (f *fleet) deployed(by *Runner, o Order) {
	f.t.Helper()
	theirs := web(unit("theirs"))
	theirs.Settle.Window = 2 * time.Second
	o.Services = []*inventory.Service{theirs}
	run := by.Survey(f.t.Context(), o)
	defer run.Close()
	if code := run.Do(f.t.Context()); code != ExitOK {
		f.t.Errorf("theirs: exit code %d", code)
	}
}

// A committed host that another run has taken since cannot be taken back: a person must look.
func TestStolenAfterTheCommit(t *testing.T) {
	t.Parallel()
	f := short(t, 2, unit("old"), unit("new"))
	f.rollout().Canary.Count = 1
	_ = f.hosts["web-2"].Fail("start")
	thief := *f.runner
	thief.Owner, thief.Emit = "thief@there", func(Event) {}
	f.each = func(_ int, e Event) {
		if e.Type == WaveStarted && e.Wave == 2 {
			o := f.order
			o.Hosts = o.Hosts[:1]
			f.deployed(&thief, o)
		}
	}
	f.expect(f.run(t.Context()), ExitLook, "rollback-failed rolled-back")
	f.runs("web-1", unit("theirs"))
}

// Several services on a host are transactions of their own.
func TestTwoServices(t *testing.T) {
	t.Parallel()
	f := short(t, 1, unit("old"), unit("new"))
	second := web(unit("--listen=none"))
	second.Name, second.Units[0].Name, second.Verify.Listen = "job", "job.service", nil
	second.Settle.Window = 2 * time.Second
	f.order.Services = append(f.order.Services, second)
	f.order.Hosts[0].Services = []string{"web", "job"}
	f.expect(f.run(t.Context()), ExitOK, "deployed deployed")
	f.runs("web-1", unit("new"))
	if u := f.hosts["web-1"].Unit("job.service"); u.Active != "active" || u.FileState != "enabled" {
		t.Errorf("job.service is %s, %s", u.Active, u.FileState)
	}
	f.hosts["web-1"].StopUnit("job.service")
	f.forget()
	second.Units[0] = unitOf("job.service", unit("--listen=none --crash-after=1s"))
	f.order.Services[0].Units[0] = unitOf("web.service", unit("newer"))
	f.expect(f.run(t.Context()), ExitFailed, "rolled-back rolled-back")
	f.runs("web-1", unit("new"))
	if u := f.hosts["web-1"].Unit("job.service"); u.Active != "inactive" {
		t.Errorf("job.service did not run before, and is %s", u.Active)
	}
}
