package plans

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/remote/sshtest"
)

// The property: hosts that fail at anything, and a run to which anything happens at any event. When the dust has settled
// each host is exactly old or exactly new, as the report said, and the next run finds nothing in its way.
// SEATRIAL_PROPERTY=500 tries so many; a failure names its seed, which is the whole story.
func TestProperty(t *testing.T) {
	t.Parallel()
	seeds := 10
	if text := os.Getenv("SEATRIAL_PROPERTY"); text != "" {
		var err error
		if seeds, err = strconv.Atoi(text); err != nil || seeds < 1 {
			t.Fatalf("SEATRIAL_PROPERTY=%q is no number of trials", text)
		}
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			newAdversity(t, uint64(seed)).play()
		})
	}
}

// adversity is one trial.
type adversity struct {
	*mortal
	dice *rand.Rand
	old  string
	bad  map[string]bool // hosts on which the old unit does not come back
	what []string        // happens, in words
	lost bool            // the talk with some host was broken
	died bool
}

func newAdversity(t *testing.T, seed uint64) *adversity {
	a := &adversity{mortal: newMortal(t, 1+int(seed%3)), dice: rand.New(rand.NewPCG(seed, 0)), old: unit("old"), bad: map[string]bool{}}
	a.clock()
	a.order.Services = []*inventory.Service{full(unit("new"))}
	r := a.rollout()
	r.OnFailure = pick(a, inventory.RollbackAll, inventory.RollbackFailed, inventory.Halt)
	r.Unreachable = pick(a, inventory.UnreachableFail, inventory.UnreachableSkip)
	r.Canary.Count, r.MaxFailed.Count = a.dice.IntN(2), a.dice.IntN(2)
	r.Waves = pick(a, nil, []inventory.Share{{Percent: 50}, {Percent: 100}})
	a.say("%s, %s, canary %d, max_failed %d, waves %v", r.OnFailure, r.Unreachable, r.Canary.Count, r.MaxFailed.Count, r.Waves)
	for _, h := range a.names() {
		for range a.dice.IntN(2) {
			fault := pick(a, slices.DeleteFunc(sshtest.Faults(), func(s string) bool { return s == "lock" })...)
			a.say("%s fails at %s", h, fault)
			_ = a.hosts[h].Fail(fault)
			a.bad[h] = a.bad[h] || fault == "rollback"
		}
	}
	return a
}

func pick[T any](a *adversity, of ...T) T { return of[a.dice.IntN(len(of))] }

func (a *adversity) say(format string, args ...any) {
	a.what = append(a.what, fmt.Sprintf(format, args...))
}

func (a *adversity) names() []string {
	var all []string
	for _, h := range a.order.Hosts {
		all = append(all, h.Name)
	}
	return all
}

// happen are the things that happen to a run, at random events.
func (a *adversity) happen(ctx context.CancelFunc) map[int]func() {
	plan := map[int]func(){}
	for range a.dice.IntN(3) {
		at, host := 2+a.dice.IntN(40*len(a.hosts)), pick(a, a.names()...)
		what := pick(a, "interrupt", "cut", "cut for good", "reboot", "guard killed", "lease over", "dies")
		a.say("event %d: %s (%s)", at, what, host)
		plan[at] = map[string]func(){
			"interrupt":    ctx,
			"cut":          func() { a.lost = true; a.net.cut() },
			"cut for good": func() { a.lost = true; a.unplug(host); a.net.cut() },
			"reboot":       func() { a.lost = true; a.hosts[host].Reboot() },
			"guard killed": func() { a.killGuards(host) },
			"lease over":   func() { a.hosts[host].Advance(2 * DefaultLease) },
			"dies":         func() { a.lost, a.died = true, true; a.kill() },
		}[what]
	}
	return plan
}

func (a *adversity) killGuards(host string) {
	h := a.hosts[host]
	for _, name := range h.Units() {
		if strings.HasPrefix(name, "seatrial-guard") {
			h.KillUnit(name, "KILL")
		}
	}
}

func (a *adversity) play() {
	ctx, cancel := context.WithCancel(a.t.Context())
	defer cancel()
	plan := a.happen(cancel)
	a.each = func(n int, _ Event) {
		if do := plan[n]; do != nil {
			do()
		}
	}
	code := a.run(ctx)
	a.each = nil
	for _, h := range a.names() {
		a.plugIn(h)
	}
	if run := a.remembered(); a.died && run.ID != "" {
		code = a.resume(run)
	}
	a.judge(code)
	if a.t.Failed() {
		a.t.Logf("%s\nexit code %d, %+v\n%s", strings.Join(a.what, "\n"), code, a.results(), strings.Join(lines(a.events), "\n"))
		return
	}
	a.next()
}

// judge looks at the hosts once nobody is at work any more.
func (a *adversity) judge(code int) {
	want := ExitOK
	for _, r := range a.results() {
		want = WorseExit(want, r.Outcome.exitCode())
		h := a.hosts[r.Host]
		a.dead(r.Host)
		isOld, isNew := undisturbed(h, a.old), running(h, unit("new"))
		installed, _ := h.ReadFile(webPath)
		ok := false
		switch r.Outcome {
		case Deployed:
			ok = isNew == nil
		case SkippedHost, FailedHost, RolledBack, Unreachable, Refused:
			ok = isOld == nil
		case UnknownOutcome:
			ok = a.lost && (isOld == nil || isNew == nil || a.bad[r.Host] && string(installed) == a.old)
		case RollbackFailed:
			ok = a.bad[r.Host] && string(installed) == a.old
		}
		if !ok {
			a.t.Errorf("%s is reported %s (%s); old: %v; new: %v", r.Host, r.Outcome, r.Text, isOld, isNew)
		}
	}
	if code != want && code != ExitInterrupted {
		a.t.Errorf("exit code %d, want %d", code, want)
	}
}

// next is the run after it, on hosts that are in order again.
func (a *adversity) next() {
	for _, h := range a.hosts {
		for _, fault := range sshtest.Faults() {
			h.Heal(fault)
		}
		h.Advance(2 * DefaultLease)
	}
	a.forget()
	a.order.Services = []*inventory.Service{full(unit("newer"))}
	if code := a.run(a.t.Context()); code != ExitOK {
		a.t.Errorf("%s\nthe next run: exit code %d, %+v", strings.Join(a.what, "\n"), code, a.results())
	}
	for _, h := range a.names() {
		a.runs(h, unit("newer"))
	}
}
