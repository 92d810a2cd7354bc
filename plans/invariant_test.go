package plans

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatrial/seatrial/remote/sshtest"
)

// The promise of the whole product: whatever happens, each host ends on exactly the old unit or exactly the new one,
// running, and the report says which.

// oneOf fails the test unless the host is where its outcome says it is.
func (f *fleet) holds(host, old, fresh string) {
	f.t.Helper()
	result, h := f.result(host), f.hosts[host]
	isOld, isNew := undisturbed(h, old), running(h, fresh)
	switch result.Outcome {
	case Deployed, Unchanged:
		if isNew != nil {
			f.t.Errorf("%s is reported %s: %v", host, result.Outcome, isNew)
		}
	case SkippedHost, FailedHost, RolledBack, Unreachable, Refused:
		if isOld != nil {
			f.t.Errorf("%s is reported %s: %v", host, result.Outcome, isOld)
		}
	case UnknownOutcome:
		if isOld != nil && isNew != nil {
			f.t.Errorf("%s is reported %s, and is neither the old (%v) nor the new (%v)", host, result.Outcome, isOld, isNew)
		}
	default:
		f.t.Errorf("%s is reported %s: %s", host, result.Outcome, result.Text)
	}
}

// undisturbed is running, but the lease of a run that died before it had a guard may lie about: it ends by itself, and the
// next run clears up.
func undisturbed(h *sshtest.Host, old string) error {
	err := running(h, old)
	var left leftBehind
	if state := record(h, "state"); errors.As(err, &left) && state == "LOCKED" {
		return nil
	}
	return err
}

// short makes a deploy that settles quickly: these tests do very many.
func short(t testing.TB, n int, old, fresh string) *fleet {
	f := newFleet(t, n, old, fresh)
	f.order.Services[0].Settle.Window = 2 * time.Second
	f.order.Services[0].Verify.Timeout = 5 * time.Second
	return f
}

// eventsOf counts the events of a good deploy.
func eventsOf(t *testing.T, n int) int {
	f := short(t, n, unit("old"), unit("new"))
	if code := f.run(t.Context()); code != ExitOK {
		t.Fatalf("exit code %d", code)
	}
	return len(f.events)
}

func TestInterruptedAtEveryEvent(t *testing.T) {
	t.Parallel()
	const old, fresh = "old", "new"
	for at := range eventsOf(t, 2) {
		t.Run(fmt.Sprint("event ", at+1), func(t *testing.T) {
			t.Parallel()
			f := short(t, 2, unit(old), unit(fresh))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var seen Event
			f.each = func(n int, e Event) {
				if n == at+1 {
					seen = e
					cancel()
				}
			}
			code := f.run(ctx)
			for _, h := range []string{"web-1", "web-2"} {
				f.quiet(h)
				f.holds(h, unit(old), unit(fresh))
				if err := leftovers(f.hosts[h]); err != nil {
					t.Errorf("%s: %v", h, err)
				}
			}
			want := ExitInterrupted
			if slices.ContainsFunc(f.events[:at+1], func(e Event) bool { return e.Step == "commit" }) {
				want = ExitOK // it came too late: commits are not cut short
			}
			if deployed := f.outcomes() == "deployed deployed"; code != want || deployed != (want == ExitOK) {
				t.Errorf("exit code %d, results %+v", code, f.results())
			}
			if t.Failed() {
				t.Logf("interrupted at: %s\n%s", line(seen), strings.Join(lines(f.events), "\n"))
			}
		})
	}
}

// quiet waits for the end of what still runs on the host after the connection is gone, without letting its clock run.
func (f *fleet) quiet(host string) {
	f.t.Helper()
	for range 500 {
		if running(f.hosts[host], unit("old")) == nil || running(f.hosts[host], unit("new")) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// cutting is a fleet of one whose connection can be cut.
func cutting(t *testing.T) (*fleet, *wires) {
	f, w := short(t, 1, unit("old"), unit("new")), &wires{}
	f.dial.NetDial = w.dial
	return f, w
}

// The connection breaks at every event, and can be made again: no outcome is unknown.
func TestCutAtEveryEvent(t *testing.T) {
	t.Parallel()
	for at := range eventsOf(t, 1) {
		t.Run(fmt.Sprint("event ", at+1), func(t *testing.T) {
			t.Parallel()
			f, w := cutting(t)
			var seen Event
			f.each = func(n int, e Event) {
				if n == at+1 {
					seen = e
					w.cut()
				}
			}
			code := f.run(t.Context())
			f.quiet("web-1")
			f.holds("web-1", unit("old"), unit("new"))
			if f.result("web-1").Outcome == UnknownOutcome {
				t.Errorf("the outcome is unknown: %+v", f.results())
			}
			if want := f.result("web-1").Outcome.exitCode(); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			if t.Failed() {
				t.Logf("cut at: %s\n%s", line(seen), strings.Join(lines(f.events), "\n"))
			}
		})
	}
}

// The connection breaks and the host is not heard of again: what is reported is true, and the guard does the rest.
func TestCutForGood(t *testing.T) {
	t.Parallel()
	tests := []struct {
		at   string // the event
		want []Outcome
	}{
		{"host.started web-1", []Outcome{Deployed}}, // before there is a connection
		{"step.started web-1 lock", []Outcome{FailedHost}},
		{"step.finished web-1 lock ok", []Outcome{FailedHost}},
		{"step.started web-1 unit-copy", []Outcome{FailedHost}},
		{"step.started web-1 guard", []Outcome{FailedHost}},
		{"wave.started 1 web-1", []Outcome{FailedHost, UnknownOutcome}},
		{"step.started web-1 trial", []Outcome{UnknownOutcome}},
		{"step.started web-1 reload", []Outcome{UnknownOutcome}},
		{"step.started web-1 start", []Outcome{UnknownOutcome}},
		{"step.started web-1 settle", []Outcome{UnknownOutcome}},
		{"step.started web-1 verify", []Outcome{UnknownOutcome}},
		{"step.finished web-1 verify ok", []Outcome{UnknownOutcome}},
		{"step.started web-1 commit", []Outcome{UnknownOutcome}},
		{"step.finished web-1 commit ok", []Outcome{Deployed}},
	}
	for _, tt := range tests {
		t.Run(tt.at, func(t *testing.T) {
			t.Parallel()
			f, w := cutting(t)
			var once sync.Once
			f.each = func(_ int, e Event) {
				if line(e) == tt.at {
					once.Do(func() {
						if e.Type != HostStarted {
							f.unplug("web-1")
						}
						w.cut()
					})
				}
			}
			code := f.run(t.Context())
			result := f.result("web-1")
			if !slices.Contains(tt.want, result.Outcome) || code != result.Outcome.exitCode() {
				t.Errorf("exit code %d, %+v", code, result)
			}
			f.dead("web-1")
			f.holds("web-1", unit("old"), unit("new"))
			if t.Failed() {
				t.Log(strings.Join(lines(f.events), "\n"))
			}
			f.plugIn("web-1") // and the next run finds nothing in its way
			f.forget()
			if code := f.run(t.Context()); code != ExitOK {
				t.Errorf("the next run: exit code %d, %+v", code, f.results())
			}
			f.runs("web-1", unit("new"))
		})
	}
}

// dead lets the lease of a run that is dead end on the host.
func (f *fleet) dead(host string) {
	f.t.Helper()
	h := f.hosts[host]
	for range 20 { // what the helper was doing when the connection broke goes on for some time
		h.Advance(20 * time.Second)
		if running(h, unit("old")) == nil || running(h, unit("new")) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A commit whose answer is lost is asked for again, and is done once.
func TestAnswerOfTheCommitIsLost(t *testing.T) {
	t.Parallel()
	f, w := cutting(t)
	var once sync.Once
	f.each = func(_ int, e Event) {
		if line(e) == "step.started web-1 commit" {
			once.Do(w.cut) // the request did not arrive; or it did, and the answer goes into the void
		}
	}
	if code := f.run(t.Context()); code != ExitOK || f.outcomes() != "deployed" {
		t.Errorf("exit code %d, %+v", code, f.results())
	}
	f.runs("web-1", unit("new"))
	text, _ := f.hosts["web-1"].ReadFile("/var/lib/seatrial/web/history")
	if n := strings.Count(string(text), " committed "); n != 1 {
		t.Errorf("the history has %d commits:\n%s", n, text)
	}
}

// The guard was faster than a commit that came late: the host says so, and is not reported as deployed.
func TestCommitAfterTheLease(t *testing.T) {
	t.Parallel()
	f := short(t, 1, unit("old"), unit("new"))
	f.each = func(_ int, e Event) {
		if line(e) == "step.finished web-1 verify ok" {
			f.hosts["web-1"].Advance(2 * DefaultLease)
		}
	}
	if code := f.run(t.Context()); code != ExitFailed || f.outcomes() != "rolled-back" {
		t.Errorf("exit code %d, %+v", code, f.results())
	}
	f.runs("web-1", unit("old"))
}
