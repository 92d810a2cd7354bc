package plans

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/steps"
)

// A walk is one phase on one lane: it sends the requests of all steps at once and turns the answers into events, which
// are the same as if each step had been asked alone.
type walk struct {
	lane   *lane
	asked  asker
	steps  []steps.Step
	batch  []remote.Request
	owner  []int // request -> step
	first  []int // step -> its first request
	left   []int // step -> requests that have not ended
	at     int   // the step that is being done
	begun  bool  // its step.started is out
	checks []string
	errors []string      // what the current step's requests said
	output string        // of the request being done
	owned  chan struct{} // closed when the lock step has ended: from then on the transaction is ours, or never will be
	own    func()
}

func newWalk(l *lane, p Phase, asked asker) *walk {
	w := &walk{lane: l, asked: asked, steps: p.Steps, first: make([]int, len(p.Steps)), left: make([]int, len(p.Steps)), owned: make(chan struct{})}
	w.own = sync.OnceFunc(func() { close(w.owned) })
	if l.lease != nil {
		w.own()
	}
	for i, s := range p.Steps {
		w.first[i] = len(w.batch)
		for _, request := range s.Requests(l.tx) {
			w.batch = append(w.batch, request)
			w.owner = append(w.owner, i)
			w.left[i]++
		}
	}
	return w
}

// current is the name of the step that is being done.
func (w *walk) current() string {
	if w.at < len(w.steps) {
		return w.steps[w.at].Name()
	}
	return ""
}

// do returns an error only when the talk with the host broke; a step that failed is the lane's failure.
func (w *walk) do(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.limit())
	defer cancel()
	defer w.own()
	w.start()
	if _, err := w.asked.Do(ctx, w.batch, w.reply); err != nil {
		w.finish(Failed, "connection lost, outcome unknown")
		return err
	}
	return w.probe(ctx)
}

// limit bounds the whole phase. Every part of it is bounded on the host; this is for a host that stops answering.
func (w *walk) limit() time.Duration {
	s := w.lane.tx.Service
	limit := time.Duration(len(w.batch)) * 100 * time.Second
	for _, c := range s.Checks {
		limit += c.Timeout
	}
	return limit + s.StartTimeout + s.Window + 2*s.Verify.Timeout
}

// start announces the step that comes next; steps with nothing to do are done at once.
func (w *walk) start() {
	for w.at < len(w.steps) && w.left[w.at] == 0 {
		w.lane.emit(Event{Type: StepFinished, Step: w.current(), Status: Nothing})
		w.at++
	}
	if w.at == len(w.steps) {
		return
	}
	switch w.steps[w.at].(type) {
	case steps.Trial, steps.Start:
		w.lane.touched = true
	}
	w.begun, w.errors, w.checks = true, nil, nil
	w.lane.emit(Event{Type: StepStarted, Step: w.current()})
}

func (w *walk) reply(r remote.Reply) {
	out := func(kind OutputKind, text string) {
		w.lane.emit(Event{Type: StepOutput, Step: w.current(), Kind: kind, Text: text})
	}
	switch r.Key {
	case remote.EndKey:
		w.ended(r)
	case "changed":
		out(Changed, r.Text)
	case "lint":
		out(Lint, r.Text)
	case "progress":
		out(Progress, r.Text)
	case "unhealthy":
		out(Note, r.Text)
	case "error":
		w.errors = append(w.errors, r.Text)
	case "output":
		w.output = r.Text
	case "result":
		w.check(r)
	case "invocation":
		if unit, id, ok := strings.Cut(r.Text, " "); ok {
			w.lane.invocations[unit] = id
		}
	}
}

// check reports one check's result.
func (w *walk) check(r remote.Reply) {
	check := w.lane.tx.Service.Checks[r.Request-w.first[w.owner[r.Request]]]
	kind := CheckOK
	switch r.Text {
	case "warning":
		kind = CheckHmm
	case "failed":
		kind = CheckBad
		w.checks = append(w.checks, check.Name)
	}
	w.lane.emit(Event{Type: StepOutput, Step: w.current(), Kind: kind, Check: check.Name, Text: w.output})
	w.output = ""
}

// ended is told of each request's end: a status, or `skipped`.
func (w *walk) ended(r remote.Reply) {
	step := w.owner[r.Request]
	if r.Text == "skipped" {
		if r.Request == w.first[step] {
			w.lane.emit(Event{Type: StepFinished, Step: w.steps[step].Name(), Status: Skipped})
		}
		return
	}
	code := 0
	_, _ = fmt.Sscan(r.Text, &code)
	if code != 0 && w.lane.failure == nil {
		w.lane.failure = &failure{step: w.current(), code: code}
	}
	w.left[step]--
	if w.left[step] > 0 {
		return
	}
	if _, ok := w.steps[step].(steps.Lock); ok {
		defer w.own()
	}
	if w.lane.failure != nil {
		w.fail()
		return
	}
	if _, ok := w.steps[step].(steps.Lock); ok {
		w.lane.lease = holdLease(w.lane)
	}
	if _, ok := w.steps[step].(steps.Prober); ok {
		return // its other part is done from here; see probe
	}
	w.next()
}

func (w *walk) next() {
	w.finish(OK, "")
	w.at++
	w.start()
}

func (w *walk) finish(status Status, text string) {
	if w.begun {
		w.begun = false
		w.lane.emit(Event{Type: StepFinished, Step: w.current(), Status: status, Text: text})
	}
}

// fail puts the reasons of a failed step into words.
func (w *walk) fail() {
	f := w.lane.failure
	switch {
	case len(w.checks) > 0:
		f.text = fmt.Sprintf("%d of %s failed: %s", len(w.checks), plural(len(w.lane.tx.Service.Checks), "check"), strings.Join(w.checks, ", "))
		f.hint = "the checks' output says why; nothing was changed on this host"
	case len(w.errors) > 0:
		f.text = strings.Join(w.errors, "; ")
	case f.code == steps.StatusLocked:
		f.text = "another command of seatrial is at work on this host"
	default:
		f.text = fmt.Sprintf("the host's script ended with status %d and no word: %s", f.code, w.lane.helper.Stderr())
	}
	if f.hint == "" {
		f.hint = w.hint(f.code)
	}
	w.lane.locked = f.code == steps.StatusLocked
	w.finish(Failed, f.text)
}

func (w *walk) hint(code int) string {
	switch code {
	case steps.StatusLocked:
		return "wait for the other run; a dead run's lease ends by itself"
	case steps.StatusFenced:
		return "look at what the other run did: seatrial status"
	case steps.StatusDrift:
		return "look at what changed, then run plan again"
	case steps.StatusUnit:
		switch {
		case w.current() == (steps.UnitCopy{}).Name() || w.current() == (steps.Lint{}).Name():
			return "the lint lines above say why; nothing was changed on this host"
		case w.lane.touched:
			return "the journal lines of this start say why"
		}
		return "the unit's journal says why: seatrial logs"
	case steps.StatusSystemd:
		return "look at `journalctl -u init.scope` and `systemctl status` on the host"
	}
	return ""
}

// probe does the part of a step that the controller does through the connection.
func (w *walk) probe(ctx context.Context) error {
	if w.lane.failure != nil || w.at >= len(w.steps) {
		return nil
	}
	prober, ok := w.steps[w.at].(steps.Prober)
	if !ok {
		return nil
	}
	err := prober.Probe(ctx, w.lane.conn, w.lane.tx, func(found string) {
		w.lane.emit(Event{Type: StepOutput, Step: w.current(), Kind: Changed, Text: found})
	})
	if err != nil {
		text, hint := message(err)
		if hint == "" {
			hint = w.hint(steps.StatusUnit)
		}
		w.lane.failure = &failure{step: w.current(), text: text, hint: hint, code: steps.StatusUnit}
		w.finish(Failed, text)
		return nil
	}
	w.next()
	return nil
}
