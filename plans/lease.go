package plans

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/steps"
)

// How long one renewal may take before the connection counts as lost.
const renewLimit = 15 * time.Second

// A lease keeps the host waiting for us: it is renewed on a channel of its own, because the helper may be in the middle of
// a long step. A connection on which it cannot be renewed is cut, so that nobody waits for it.
type lease struct {
	lane   *lane
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func holdLease(l *lane) *lease {
	ctx, cancel := context.WithCancel(context.Background())
	held := &lease{lane: l, cancel: cancel}
	conn, tx := l.conn, l.tx
	held.done.Go(func() { renew(ctx, conn, tx) })
	return held
}

// renew opens its channel when the first renewal is due, so that a quick deploy does not pay for it.
func renew(ctx context.Context, conn *remote.Conn, tx steps.Transaction) {
	var control *remote.Helper
	for sleep(ctx, tx.Lease/4) {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewLimit)
		err := error(nil)
		if control == nil {
			control, err = conn.Helper(limit, steps.Program(), nil)
		}
		var results []remote.Result
		if err == nil {
			results, err = control.Do(limit, []remote.Request{steps.Renew(tx)}, func(remote.Reply) {})
		}
		cancel()
		if err != nil {
			_ = conn.Close()
			return
		}
		if code := results[0].Code; code == steps.StatusFenced || code == steps.StatusState {
			break // somebody else's, or over: the next step says so
		}
	}
	if control != nil {
		_ = control.Close()
	}
}

func (l *lease) end() {
	l.cancel()
	l.done.Wait()
}

const (
	lockLimit      = 100 * time.Second // the host waits 90 s for a command that is deciding something
	killed         = 128               // statuses beyond: the host's script was killed, and asking again does no harm
	reconnectTries = 4
	reconnectPause = 2 * time.Second
)

// rollbackLimit bounds a rollback from here. The host needs as long as the new unit takes to stop and the old one to start,
// and the old one must settle again.
func (l *lane) rollbackLimit() time.Duration {
	return 5*time.Minute + l.tx.Service.StartTimeout + l.tx.Service.Window
}

// callOff ends the transaction over a channel of its own while the helper is in the middle of a phase. A lock that is
// being taken is waited for: it would be taken after all, and nobody would give it back.
func (l *lane) callOff(p Phase, owned <-chan struct{}) {
	if p.writes() {
		limit := time.NewTimer(lockLimit)
		defer limit.Stop()
		select {
		case <-owned:
		case <-limit.C:
		}
		l.takeBack()
	}
	_ = l.conn.Close() // what the helper still does on the host ends by itself
}

// takeBack asks for the rollback; off stays nil when the host did not answer.
func (l *lane) takeBack() {
	ctx, cancel := context.WithTimeout(context.Background(), l.rollbackLimit())
	defer cancel()
	control, err := l.conn.Helper(ctx, steps.Program(), nil)
	if err == nil {
		l.off, err = l.askRollback(ctx, control, "interrupted")
		_ = control.Close()
	}
	if err != nil {
		l.off = nil
	}
}

// rollback brings the host back to what it was, and decides the lane's outcome. It is done once.
func (l *lane) rollback(reason string) {
	if l.result.Outcome != "" && !l.committed {
		return
	}
	undo := l.committed
	l.committed, l.result.Release, l.result.Label = false, "", ""
	if l.failure == nil {
		l.failure = &failure{text: reason}
	}
	if l.off != nil {
		l.judge(*l.off)
		return
	}
	if l.lease == nil && !l.touched && !l.failure.lost {
		l.judge(answer{}) // it never got the lease
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.rollbackLimit())
	defer cancel()
	var got *answer
	err := remote.ErrLost
	if !l.failure.lost {
		got, err = l.askRollback(ctx, l.helper, reason)
	}
	if err == nil && got.code > killed {
		got, err = l.askRollback(ctx, l.helper, reason)
	}
	l.endLease()
	if errors.Is(err, remote.ErrLost) {
		if err = l.reconnect(ctx); err == nil {
			got, err = l.askRollback(ctx, l.helper, reason)
		}
	}
	if err != nil {
		l.unknown(err)
		return
	}
	if got.code == steps.StatusFenced && l.touched && !undo {
		l.fenced(ctx, got.why)
		return
	}
	l.judge(*got)
	if got.code == steps.StatusUnhealthy {
		l.journal(ctx, steps.Rollback{}.Name(), nil)
	}
}

// reconnect after the connection was lost, and with it an answer.
func (l *lane) reconnect(ctx context.Context) error {
	err := remote.ErrLost
	for range reconnectTries {
		_ = l.conn.Close()
		if _, err = l.connect(ctx); err == nil {
			return nil
		}
		if !sleep(ctx, l.run.runner.reconnectPause()) {
			break
		}
	}
	return err
}

// unknown: no word from the host. Its guard goes on without us.
func (l *lane) unknown(err error) {
	text, hint := message(err)
	l.result.Step, l.result.Text, l.result.Hint = l.failure.step, l.failure.text, hint
	if !l.touched {
		l.result.Text += "; the host was not changed, and its lease ends by itself in " + l.tx.Lease.String()
		l.end(FailedHost)
		return
	}
	l.result.Text += "; no word from the host since: " + text
	l.result.Hint = "its guard puts the old release back within " + l.tx.Lease.String() + " of the last renewal; look with: seatrial status"
	l.end(UnknownOutcome)
}

// fenced: another run has taken the host over, and had to undo first what this one had begun. Did it? The host says.
func (l *lane) fenced(ctx context.Context, why string) {
	l.result.Step, l.result.Text, l.result.Hint = l.failure.step, why, "look at what the other run did: seatrial status"
	status := Failed
	if facts, err := l.factsAgain(ctx); err == nil && l.asBefore(facts) {
		status = OK
		l.result.Text += "; what this run had begun is undone"
		l.result.Release = l.tx.Current
		l.end(RolledBack)
	} else {
		l.end(UnknownOutcome)
	}
	l.emit(Event{Type: StepFinished, Step: steps.Rollback{}.Name(), Status: status, Text: l.result.Text})
}

// asBefore: the files are those of the survey, what ran then runs, and nobody is at work.
func (l *lane) asBefore(now steps.Facts) bool {
	was := l.tx.Facts
	for _, f := range l.tx.Service.Files {
		if now.File(f.Path).Digest != was.File(f.Path).Digest {
			return false
		}
	}
	for _, r := range l.tx.Service.Runs {
		if was.Units[r.Unit]["ActiveState"] == "active" && now.Units[r.Unit]["ActiveState"] != "active" {
			return false
		}
	}
	return !now.Record.Unfinished()
}

// answer of a host that was asked to go back.
type answer struct {
	code       int
	state, why string
}

// askRollback lets the host go back. A host that was not touched only gives its lease back.
func (l *lane) askRollback(ctx context.Context, helper *remote.Helper, reason string) (*answer, error) {
	step := steps.Rollback{Reason: reason}
	var got answer
	results, err := helper.Do(ctx, step.Requests(l.tx), func(r remote.Reply) {
		switch r.Key {
		case "state":
			got.state = r.Text
		case "error", "unhealthy":
			got.why = r.Text
		case "unit":
			l.emit(Event{Type: StepOutput, Step: step.Name(), Kind: Note, Text: r.Text})
		}
	})
	if err != nil {
		return nil, err
	}
	got.code = results[0].Code
	if got.code != 0 && got.why == "" {
		got.why = fmt.Sprintf("the host's script ended with status %d: %s", got.code, helper.Stderr())
	}
	return &got, nil
}

// judge turns the answer into the lane's outcome.
func (l *lane) judge(got answer) {
	if !l.touched {
		if l.failure.step != "" {
			l.end(FailedHost)
		}
		return
	}
	status, text := OK, got.why
	switch {
	case got.state == "COMMITTED": // the commit had been decided, and recovery went forward
		text = "the commit had been decided before: it is finished"
		l.committed, l.failure, l.result.Release = true, nil, l.tx.Release
		l.end(Deployed)
	case !l.run.Order.Plan.commits() && l.verified && got.code == 0:
		text = "restarted, settled and verified; there is nothing to take back"
		l.result.Text = text
		l.end(Unchanged)
	case !l.run.Order.Plan.commits() && got.code == 0 && (l.failure.text == interrupted || l.failure.text == died):
		text = "what runs there has settled; it is not verified"
		l.result.Text, l.result.Hint = l.failure.text+": "+text, "seatrial check verifies it"
		l.end(Unchanged)
	case !l.run.Order.Plan.commits():
		status, text = Failed, "a restart has nothing to go back to"
		l.mustLook(text)
	case got.code == 0:
		l.result.Release = l.tx.Current
		l.end(RolledBack)
	case got.code == steps.StatusUnhealthy:
		status = Failed
		l.mustLook("ROLLED BACK BUT NOT HEALTHY: " + got.why)
	default:
		status = Failed
		l.mustLook("ROLLBACK FAILED: " + got.why)
	}
	l.emit(Event{Type: StepFinished, Step: steps.Rollback{}.Name(), Status: status, Text: text})
}

func (l *lane) mustLook(text string) {
	l.result.Step, l.result.Text = l.failure.step, text
	if l.failure.text != "" {
		l.result.Text = l.failure.text + "; " + text
	}
	l.result.Hint = "look at the host now: seatrial status, seatrial logs"
	l.end(RollbackFailed)
}
