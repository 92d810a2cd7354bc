package plans

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/steps"
)

// journalLines of the failing start are fetched as evidence.
const journalLines = 50

// A lane is one service on one host, from the survey to its outcome. Only its own goroutine of the moment uses it.
type lane struct {
	run    *Run
	host   *inventory.Host
	tx     steps.Transaction
	result HostResult

	conn    *remote.Conn
	helper  *remote.Helper
	lease   *lease // held from the end of the lock step
	refusal []steps.Refusal

	failure     *failure
	locked      bool    // another run holds the lease
	touched     bool    // what runs on the host may be the new release
	checked     bool    // Inspect ran the checks
	linted      replies // what a lint said that was asked for together with the facts
	drifted     string  // diff from the release that was committed last, if Inspect found one
	verified    bool    // what runs on the host has settled and verified
	committed   bool
	invocations map[string]string // of the starts that we caused
	off         *answer           // of the host, when ctx ended and the transaction was called off
}

// Why a lane ends that was called off, or is taken up again.
const (
	interrupted = "interrupted"
	died        = "the run had died"
)

// failure is why a lane does not go on.
type failure struct {
	step, text, hint string
	code             int // the host's status; 0: not the host's verdict
	lost             bool
}

func newLane(r *Run, h *inventory.Host, s *inventory.Service) *lane {
	l := &lane{run: r, host: h, invocations: map[string]string{},
		result: HostResult{Host: h.Name, Service: s.Name},
		tx: steps.Transaction{Service: stepsService(s), Owner: r.runner.Owner, Token: r.runner.Token(),
			Since: r.since.UTC().Format(time.RFC3339), Lease: r.lease()}}
	if saved := r.Order.Saved; saved != nil {
		l.tx.Plan = saved.Digest
	}
	return l
}

func (l *lane) emit(e Event) {
	e.Host, e.Service = l.host.Name, l.tx.Service.Name
	l.run.emit(e)
}

// end decides the lane's outcome.
func (l *lane) end(o Outcome) {
	l.result.Outcome = o
	if l.failure != nil && l.result.Text == "" {
		l.result.Step, l.result.Text, l.result.Hint = l.failure.step, l.failure.text, l.failure.hint
	}
}

func (l *lane) exitCode() int {
	if l.locked {
		return ExitLocked
	}
	return l.result.Outcome.exitCode()
}

// survey connects and takes the facts. Its refusals end the lane before anything is changed.
func (l *lane) survey(ctx context.Context) {
	l.emit(Event{Type: HostStarted})
	var lint []remote.Request
	if o := l.run.Order; o.Preview && o.Plan.brings() {
		lint = append(lint, steps.LintRequest(l.tx.Service))
	}
	facts, err := l.connect(ctx, lint...)
	if ctx.Err() != nil {
		l.result.Text = interrupted
		l.end(SkippedHost)
		return
	}
	if err != nil {
		text, hint := message(err)
		l.failure = &failure{step: "connect", text: text, hint: hint}
		if errors.Is(err, remote.ErrNoSudo) || errors.Is(err, remote.ErrNoShell) {
			l.end(Refused)
			return
		}
		l.end(Unreachable)
		return
	}
	l.tx.Facts = facts
	if err := l.choose(ctx); err != nil {
		l.refused(err)
		return
	}
	l.refuse()
}

// connect opens the connection and the helper. The facts ride along, and the lint of a preview after them.
func (l *lane) connect(ctx context.Context, lint ...remote.Request) (steps.Facts, error) {
	conn, err := l.run.runner.Connect(ctx, l.host)
	if err != nil {
		return steps.Facts{}, err
	}
	helper, err := conn.Helper(ctx, steps.Program(), append([]remote.Request{steps.FactsRequest(l.tx.Service)}, lint...))
	if err != nil {
		_ = conn.Close()
		return steps.Facts{}, err
	}
	l.conn, l.helper = conn, helper
	var text string
	results, err := helper.First(ctx, func(r remote.Reply) {
		switch {
		case r.Request > 0:
			l.linted = append(l.linted, remote.Reply{Key: r.Key, Text: r.Text})
		case r.Key == "facts":
			text = r.Text
		}
	})
	if err != nil {
		return steps.Facts{}, err
	}
	if results[0].Code != 0 {
		return steps.Facts{}, fmt.Errorf("the facts script ended with status %d", results[0].Code)
	}
	return steps.ParseFacts(text)
}

// refuse ends the lane when something stands in the way.
func (l *lane) refuse() {
	if !l.run.Order.Plan.tries() {
		return
	}
	l.refusal = l.tx.Refusals()
	if moved := l.stale(); len(l.refusal) == 0 && moved != nil {
		l.refusal = []steps.Refusal{{Text: "not as the saved plan saw it: " + strings.Join(moved, "; "),
			Hint: "seatrial plan " + l.run.Order.Environment.Name + " --out FILE makes a new one"}}
	}
	l.refusal = append(l.refusal, l.run.lacking[l.tx.Service.Name]...)
	if len(l.refusal) == 0 {
		return
	}
	var texts, hints []string
	for _, r := range l.refusal {
		texts, hints = append(texts, r.Text), append(hints, r.Hint)
		l.locked = l.locked || r.Locked
	}
	step := "facts"
	if l.locked {
		step = "lock"
	}
	l.failure = &failure{step: step, text: strings.Join(texts, "; "), hint: strings.Join(hints, "; ")}
	l.end(Refused)
}

// await looks again and again whether the run that holds the lease has given it back.
func (l *lane) await(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for l.locked && l.tx.Facts.Maintenance.Owner == "" && sleep(ctx, awaitPause) {
		facts, err := l.factsAgain(ctx)
		if err != nil {
			return // what was found before still stands
		}
		l.tx.Facts, l.locked, l.refusal, l.failure = facts, false, nil, nil
		l.result = HostResult{Host: l.result.Host, Service: l.result.Service}
		if err := l.choose(ctx); err != nil {
			l.refused(err)
			return
		}
		l.refuse()
	}
}

const awaitPause = 2 * time.Second

func (l *lane) factsAgain(ctx context.Context) (steps.Facts, error) {
	var text string
	_, err := l.helper.Do(ctx, []remote.Request{steps.FactsRequest(l.tx.Service)}, func(r remote.Reply) {
		if r.Key == "facts" {
			text = r.Text
		}
	})
	if err != nil {
		return steps.Facts{}, err
	}
	return steps.ParseFacts(text)
}

// refused ends the lane with what the host has not, or cannot give.
func (l *lane) refused(err error) {
	text, hint := message(err)
	l.failure = &failure{step: "facts", text: text, hint: hint}
	l.end(Refused)
}

// looked ends the lane of a plan that is no transaction.
func (l *lane) looked(ctx context.Context) {
	switch {
	case l.failure != nil && l.failure.code == steps.StatusUnhealthy:
		l.end(RollbackFailed)
	case l.failure == nil && ctx.Err() == nil:
		l.end(Unchanged)
	case l.failure == nil || l.failure.text == interrupted:
		l.result.Text = interrupted
		l.end(SkippedHost)
	default:
		l.end(FailedHost)
	}
}

// phase does the steps of one phase. Cancelling ctx calls the transaction off; a step on the host is never cut short.
func (l *lane) phase(ctx context.Context, p Phase) { l.walk(ctx, p, l.asker()) }

// walk is phase with another one to ask.
func (l *lane) walk(ctx context.Context, p Phase, asked asker) {
	if l.failure != nil || l.result.Outcome != "" || ctx.Err() != nil {
		return
	}
	work := context.WithoutCancel(ctx)
	var stop sync.WaitGroup
	w := newWalk(l, p, asked)
	quit, calledOff := make(chan struct{}), false
	stop.Go(func() {
		select {
		case <-ctx.Done():
			calledOff = true
			l.callOff(p, w.owned)
		case <-quit:
		}
	})
	err := w.do(work)
	close(quit)
	stop.Wait()
	if p.starts() && (calledOff || err != nil) {
		l.touched = true // all of the phase was asked for, and the host may be further than we heard
	}
	switch {
	case calledOff:
		l.failure = &failure{text: interrupted, lost: l.off == nil}
	case err != nil:
		text, hint := message(err)
		l.failure = &failure{step: w.current(), text: text, hint: hint, lost: errors.Is(err, remote.ErrLost)}
	}
	l.verified = p.Name == Try && l.failure == nil
	if l.failure != nil && len(l.invocations) > 0 && !l.failure.lost && l.off == nil {
		l.evidence(work)
	}
}

func (l *lane) asker() asker {
	if through := l.run.runner.through; through != nil {
		return through(l.helper)
	}
	return l.helper
}

// replies to one request that have come before anybody went on to it.
type replies []remote.Reply

// Do implements asker.
func (rs replies) Do(_ context.Context, batch []remote.Request, each func(remote.Reply)) ([]remote.Result, error) {
	if len(batch) > 0 {
		for _, r := range rs {
			each(r)
		}
	}
	return nil, nil
}

// evidence fetches the journal of the start that failed, before a rollback buries it.
func (l *lane) evidence(ctx context.Context) { l.journal(ctx, l.failure.step, l.invocations) }

// journal fetches the last lines of these starts of the units, or of the latest.
func (l *lane) journal(ctx context.Context, step string, invocations map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, _ = l.helper.Do(ctx, []remote.Request{steps.JournalRequest(l.tx, journalLines, invocations)}, func(r remote.Reply) {
		if r.Key == "journal" {
			unit, lines, _ := strings.Cut(r.Text, "\n")
			l.emit(Event{Type: StepOutput, Step: step, Kind: JournalLines, Unit: unit, Text: lines})
		}
	})
}

// commit makes the release the installed one, or gives the lease of a restart back. When the answer is lost it is asked
// for again: committing is decided, and doing it twice does no harm.
func (l *lane) commit(keep Phase) {
	ctx, cancel := context.WithTimeout(context.Background(), l.rollbackLimit())
	defer cancel()
	l.phase(context.Background(), keep)
	if l.failure != nil && l.failure.lost && l.reconnect(ctx) == nil {
		l.failure = nil
		l.phase(context.Background(), keep)
	}
	if l.failure != nil {
		return
	}
	l.endLease()
	if l.run.Order.Plan.commits() {
		l.committed = true
	}
	l.result.Release, l.result.Label = l.tx.Release, l.tx.Label
	outcome := Deployed
	if l.tx.Unchanged() {
		outcome = Unchanged
	}
	l.end(outcome)
}

func (l *lane) endLease() {
	if l.lease != nil {
		l.lease.end()
		l.lease = nil
	}
}

func (l *lane) close() {
	l.endLease()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}
