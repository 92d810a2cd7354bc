package plans

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/steps"
)

// DefaultLease is how long a host waits for news from the run before it goes back by itself.
const DefaultLease = 60 * time.Second

// Runner is what runs need of the outside world.
type Runner struct {
	Connect func(context.Context, *inventory.Host) (*remote.Conn, error)
	Emit    func(Event) // is called by one goroutine at a time
	Now     func() time.Time
	Token   func() string // a new unguessable word of [a-z0-9]
	Owner   string        // who runs this, from where; one line
	Lease   time.Duration // zero: DefaultLease

	// Journal begins the journal of a run that may change hosts; nil: none is kept.
	Journal func(JournalRun) (*Journal, error)

	through func(asker) asker // for tests: another way of asking
	pause   time.Duration     // for tests: between attempts to reconnect
}

func (r *Runner) reconnectPause() time.Duration {
	if r.pause > 0 {
		return r.pause
	}
	return reconnectPause
}

// An asker carries requests to a host: remote.Helper.
type asker interface {
	Do(ctx context.Context, batch []remote.Request, each func(remote.Reply)) ([]remote.Result, error)
}

// Order is what to do, and where.
type Order struct {
	Plan        Plan
	Environment *inventory.Environment
	Hosts       []*inventory.Host        // of the environment, in its order
	Services    []*inventory.Service     // that the run is about
	To          string                   // for Rollback: id or label of the release; empty: the last good one before the current
	Require     []*inventory.Environment // where a release must have been committed before
	Saved       *Saved                   // the saved plan that is applied; nil: none
	Label       string                   // for Deploy: what people call the release, one word; may be empty
	Preview     bool                     // Inspect will follow: what it wants to know is asked together with the facts
}

// Run is one run of a plan: one lane for each service on each host. Survey makes it, Do carries it out.
type Run struct {
	ID     string
	Order  Order
	runner *Runner
	lanes  []*lane
	since  time.Time

	lacking map[string][]steps.Refusal // by service: required environments that have not committed the release

	mu      sync.Mutex
	early   []Event // before there was a journal
	journal *Journal
}

// Survey connects to every host and takes its facts: one read-only request each. Nothing is changed. What stands in the
// way is in the run's previews. Close the run in any case.
func (r *Runner) Survey(ctx context.Context, o Order) *Run {
	now := r.Now()
	run := &Run{ID: now.UTC().Format(idTime) + "-" + r.Token()[:4], Order: o, runner: r, since: now, lacking: map[string][]steps.Refusal{}}
	var members []string
	for _, h := range o.Hosts {
		members = append(members, h.Name)
		for _, s := range o.Services {
			if runsOn(h, s.Name) {
				run.lanes = append(run.lanes, newLane(run, h, s))
			}
		}
	}
	started := Event{Type: RunStarted, Plan: o.Plan.Name, Environment: o.Environment.Name, Members: members}
	if o.Saved != nil {
		started.Saved = o.Saved.Digest
	}
	run.emit(started)
	run.require(ctx)
	run.each(run.lanes, func(l *lane) { l.survey(ctx) })
	return run
}

// Await waits for hosts whose lease another run holds, at most so long. A maintenance lock is not waited for.
func (r *Run) Await(ctx context.Context, limit time.Duration) {
	r.each(r.lanes, func(l *lane) { l.await(ctx, limit) })
}

func runsOn(h *inventory.Host, service string) bool {
	for _, s := range h.Services {
		if s == service {
			return true
		}
	}
	return false
}

// Close ends all connections.
func (r *Run) Close() {
	for _, l := range r.lanes {
		l.close()
	}
	_ = r.journal.Close()
}

func (r *Run) lease() time.Duration {
	if r.runner.Lease > 0 {
		return r.runner.Lease
	}
	return DefaultLease
}

// emit is the one way in which anything becomes known.
func (r *Run) emit(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Run, e.Time = r.ID, r.runner.Now()
	switch { // these lists are there, however short
	case e.Type == RunStarted && e.Members == nil:
		e.Members = []string{}
	case e.Type == RunFinished && e.Hosts == nil:
		e.Hosts = []HostResult{}
	}
	r.runner.Emit(e)
	if r.journal == nil {
		r.early = append(r.early, e)
	}
	r.journal.Event(e)
}

// each does f on lanes side by side. One lane's failure never cancels another's work.
func (r *Run) each(lanes []*lane, f func(*lane)) {
	var g errgroup.Group
	g.SetLimit(max(1, r.Order.Environment.Rollout.MaxParallel))
	for _, l := range lanes {
		g.Go(func() error { f(l); return nil })
	}
	_ = g.Wait() // lanes keep their own failures
}

// Do carries the plan out, and returns the exit code. When ctx ends, touched hosts are rolled back.
func (r *Run) Do(ctx context.Context) int {
	code := r.do(ctx)
	for _, l := range r.lanes {
		l.endLease()
	}
	return r.finish(ctx, code)
}

// do returns an exit code beyond those of the outcomes.
func (r *Run) do(ctx context.Context) int {
	if r.Order.Plan.Writes() { // looking at one host needs no other
		if code, blocked := r.blocked(); blocked {
			r.skipRest(r.lanes, "another host stands in the way; nothing was changed")
			return code
		}
	}
	ready := r.alive()
	if len(ready) == 0 {
		return ExitOK
	}
	if err := r.beginJournal(ready); err != nil {
		r.skipRest(ready, err.Error())
		return ExitUsage
	}
	r.prepare(ctx, ready)
	if !r.Order.Plan.tries() {
		for _, l := range ready {
			l.looked(ctx)
		}
		return ExitOK
	}
	if r.anyFailed(ready) || ctx.Err() != nil {
		return r.abandon(ready)
	}
	return r.waves(ctx, ready)
}

// prepare does the first phase everywhere. All runs take the lease of the same host first, so of two that begin together
// one gets it and goes on, and the other has locked nothing yet.
func (r *Run) prepare(ctx context.Context, lanes []*lane) {
	all := r.Order.Plan.phase(Prepare)
	if len(lanes) == 1 || !r.Order.Plan.tries() {
		r.each(lanes, func(l *lane) { l.phase(ctx, all) })
		return
	}
	first := slices.MinFunc(lanes, func(a, b *lane) int {
		return cmp.Or(cmp.Compare(a.host.Name, b.host.Name), cmp.Compare(a.tx.Service.Name, b.tx.Service.Name))
	})
	first.phase(ctx, Phase{Prepare, all.Steps[:1]})
	if first.failure != nil {
		return
	}
	r.each(lanes, func(l *lane) {
		if l == first {
			l.phase(ctx, Phase{Prepare, all.Steps[1:]})
		} else {
			l.phase(ctx, all)
		}
	})
}

// beginJournal writes down what resume needs, before any host is changed.
func (r *Run) beginJournal(lanes []*lane) error {
	if r.runner.Journal == nil || !r.Order.Plan.tries() {
		return nil
	}
	journal, err := r.runner.Journal(JournalRun{ID: r.ID, Plan: r.Order.Plan.Name, Environment: r.Order.Environment.Name,
		Owner: r.runner.Owner, Started: r.since, Lanes: journalLanes(lanes)})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.journal = journal
	for _, e := range r.early {
		journal.Event(e)
	}
	r.early = nil
	return nil
}

func journalLanes(lanes []*lane) []JournalLane {
	var all []JournalLane
	for _, l := range lanes {
		all = append(all, JournalLane{l.host.Name, l.tx.Service.Name, l.tx.Token, l.tx.Release})
	}
	return all
}

// blocked decides, before anything is changed, whether a host that cannot be deployed to stops the run.
func (r *Run) blocked() (int, bool) {
	code, blocked := ExitOK, false
	for _, l := range r.lanes {
		switch {
		case l.result.Outcome == Unreachable:
			blocked = blocked || r.Order.Environment.Rollout.Unreachable != inventory.UnreachableSkip
		case l.locked:
			code, blocked = WorseExit(code, ExitLocked), true
		case l.result.Outcome != "":
			blocked = true
		}
	}
	return code, blocked
}

// Ready are the hosts that Do would go on to now. None when another host stands in the way.
func (r *Run) Ready() []string {
	if _, blocked := r.blocked(); blocked {
		return nil
	}
	var hosts []string
	for _, l := range r.alive() {
		if !slices.Contains(hosts, l.host.Name) {
			hosts = append(hosts, l.host.Name)
		}
	}
	return hosts
}

func (r *Run) skipRest(lanes []*lane, why string) {
	for _, l := range lanes {
		if l.result.Outcome == "" {
			l.result.Text = why
			l.end(SkippedHost)
		}
	}
}

func (r *Run) alive() []*lane {
	var alive []*lane
	for _, l := range r.lanes {
		if l.result.Outcome == "" {
			alive = append(alive, l)
		}
	}
	return alive
}

func (r *Run) anyFailed(lanes []*lane) bool { return r.failures(lanes) > 0 }

func (r *Run) failures(lanes []*lane) int {
	n := 0
	for _, l := range lanes {
		if l.failure != nil {
			n++
		}
	}
	return n
}

// abandon takes everything back that was prepared; no host was changed.
func (r *Run) abandon(lanes []*lane) int {
	why := "another host could not be prepared: " + r.why(lanes)
	if r.failedStep(lanes) == nil {
		why = interrupted
	}
	r.each(lanes, func(l *lane) { l.rollback("the run was abandoned before the trial") })
	r.skipRest(lanes, why)
	return ExitOK
}

// finish reports every host and the run, and adds up the exit code.
func (r *Run) finish(ctx context.Context, code int) int {
	var hosts []HostResult
	worst := Unchanged
	for _, l := range r.lanes {
		if l.result.Outcome == "" {
			l.end(UnknownOutcome)
		}
		hosts = append(hosts, l.result)
		worst = worse(worst, l.result.Outcome)
		code = WorseExit(code, l.exitCode())
		r.emit(Event{Type: HostFinished, Host: l.host.Name, Service: l.tx.Service.Name, Outcome: l.result.Outcome,
			Release: l.result.Release, Label: l.result.Label, Step: l.result.Step, Text: l.result.Text, Hint: l.result.Hint})
	}
	var text string
	late := worse(worst, Deployed) == Deployed && !r.anyFailed(r.lanes) // everything had been done by then
	if ctx.Err() != nil && code != ExitLook && !late {
		code, text = ExitInterrupted, "interrupted"
	}
	r.emit(Event{Type: RunFinished, Outcome: worst, ExitCode: &code, Hosts: hosts, Text: text})
	return code
}

// message splits an error into what a person is told and what to do next, without the host's name.
func message(err error) (text, hint string) {
	var e *remote.Error
	if errors.As(err, &e) {
		return e.Message(), e.Hint
	}
	return err.Error(), ""
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
