package ui

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/steps"
)

// Text shows a run as text: a line for each step, once all hosts that do it are through with it; hosts that said the same
// are folded. The report comes last, on stdout.
type Text struct {
	Out, Err io.Writer
	Style    Style
	Live     bool // stderr is a terminal: show what is being done now
	Verbose  bool // every check and every line

	plan    string
	hosts   int
	members []string
	lanes   map[string]*laneView // by host and service
	order   []string
	wave    []string // lanes that do the steps now
	pending []string // steps that are not yet printed, in order
	several bool     // services
	shown   bool     // a live line is on the screen
}

// laneView is what one lane has said of each step.
type laneView struct {
	host, service string
	steps         map[string]*stepView
	journal       []unitJournal // of starts that failed, not yet shown
	out           bool          // failed, or over
}

type stepView struct {
	status plans.Status
	text   string
	lines  []string
	done   bool
}

// Event implements Display.
func (t *Text) Event(e plans.Event) {
	switch e.Type {
	case plans.RunStarted:
		t.plan, t.lanes, t.hosts, t.members = e.Plan, map[string]*laneView{}, len(e.Members), e.Members
		t.order, t.wave, t.pending = nil, nil, nil
		t.say("%s %s: %s\n", t.Style.bold(e.Plan), e.Environment, Who(e.Members, -1))
		if e.Saved != "" {
			t.say("  exactly as planned: saved plan %s\n", e.Saved[:min(12, len(e.Saved))])
		}
	case plans.HostStarted:
		t.lane(e)
	case plans.StepStarted:
		t.step(e)
		t.live(e)
	case plans.StepOutput:
		t.output(e)
	case plans.StepFinished:
		t.finished(e)
	case plans.WaveStarted:
		t.flush()
		t.begin(e)
	case plans.WaveFinished:
		t.flush()
	case plans.RunFinished:
		t.flush()
		t.report(e)
	}
}

func (t *Text) say(format string, args ...any) {
	if t.shown {
		_, _ = fmt.Fprint(t.Err, "\r\x1b[K")
		t.shown = false
	}
	_, _ = fmt.Fprintf(t.Err, format, args...)
}

// live shows the step under way on a line that the next one overwrites.
func (t *Text) live(e plans.Event) {
	if !t.Live {
		return
	}
	_, _ = fmt.Fprintf(t.Err, "\r\x1b[K%s", t.Style.dim(fmt.Sprintf("  %-13s %s ...", e.Step, e.Host)))
	t.shown = true
}

func (t *Text) lane(e plans.Event) *laneView {
	key := e.Host + "/" + e.Service
	l := t.lanes[key]
	if l == nil {
		for _, known := range t.lanes {
			t.several = t.several || known.service != e.Service
		}
		l = &laneView{host: e.Host, service: e.Service, steps: map[string]*stepView{}}
		t.lanes[key] = l
		t.order = append(t.order, key)
		sort.SliceStable(t.order, func(i, j int) bool { return t.before(t.order[i], t.order[j]) })
		t.wave = append(t.wave, key)
	}
	return l
}

// before is the order of the inventory.
func (t *Text) before(a, b string) bool {
	x, y := slices.Index(t.members, t.lanes[a].host), slices.Index(t.members, t.lanes[b].host)
	return x < y || x == y && a < b
}

func (t *Text) step(e plans.Event) *stepView {
	l := t.lane(e)
	s := l.steps[e.Step]
	if s == nil {
		s = &stepView{}
		l.steps[e.Step] = s
		t.remember(e.Step)
	}
	return s
}

func (t *Text) remember(step string) {
	if !slices.Contains(t.pending, step) {
		t.pending = append(t.pending, step)
	}
}

// begin narrows the lanes that are waited for to those of the wave.
func (t *Text) begin(e plans.Event) {
	t.wave = nil
	for _, key := range t.order {
		for _, m := range e.Members {
			if t.lanes[key].host == m {
				t.wave = append(t.wave, key)
			}
		}
	}
	if len(e.Members) < t.hosts || e.Wave > 1 {
		t.say("wave %d: %s\n", e.Wave, Who(e.Members, -1))
	}
}

func (t *Text) output(e plans.Event) {
	s := t.step(e)
	text := strings.TrimSpace(Clean(e.Text))
	switch e.Kind {
	case plans.Progress:
		if !t.Verbose {
			t.live(plans.Event{Step: e.Step, Host: e.Host + ": " + text})
			return
		}
	case plans.CheckOK:
		if !t.Verbose {
			return
		}
		text = "passed: " + e.Check + "\n" + indent("  ", tail(text))
	case plans.CheckBad:
		text = t.Style.bad("failed: "+e.Check) + "\n" + indent("  ", tail(text))
	case plans.CheckHmm:
		text = t.Style.warn("warning: "+e.Check) + "\n" + indent("  ", tail(text))
	case plans.Lint:
		text = t.Style.warn("lint: " + text)
	case plans.JournalLines: // of several hosts: they wait until all have told why they failed
		l := t.lane(e)
		l.journal = append(l.journal, unitJournal{e.Unit, text})
		return
	}
	s.lines = append(s.lines, strings.TrimRight(text, "\n"))
}

// tail is the end of a check's output, where commands say why they failed.
func tail(text string) string {
	const most, width = 20, 400
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if cut := len(lines) - most; cut > 0 {
		lines = append([]string{fmt.Sprintf("... (%d lines before)", cut)}, lines[cut:]...)
	}
	var kept []string
	for _, line := range lines {
		if line = strings.TrimRight(line, " "); len(line) > width {
			line = "..." + line[len(line)-width:]
		}
		if line != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func (t *Text) finished(e plans.Event) {
	s := t.step(e)
	s.status, s.text, s.done = e.Status, Clean(e.Text), true
	if e.Status == plans.Failed {
		t.lane(e).out = true
	}
	t.flushDone()
}

// flushDone prints steps, in order, that all lanes of the wave are through with.
func (t *Text) flushDone() {
	for len(t.pending) > 0 {
		step := t.pending[0]
		for _, key := range t.wave {
			l := t.lanes[key]
			if s := l.steps[step]; (s == nil && !l.out) || (s != nil && !s.done) {
				return
			}
		}
		t.print(step)
		t.pending = t.pending[1:]
	}
}

// flush prints what there is, finished or not.
func (t *Text) flush() {
	for _, step := range t.pending {
		t.print(step)
	}
	t.pending = nil
	t.journals()
}

type unitJournal struct{ unit, text string }

// journals shows the evidence, host by host in the inventory's order.
func (t *Text) journals() {
	for _, key := range t.order {
		l := t.lanes[key]
		for _, j := range l.journal {
			whose := t.name(l)
			if j.unit != "" {
				whose = j.unit + " on " + whose
			}
			t.say("%s\n", t.Style.dim(fmt.Sprintf("    journal of %s, this start only:", whose)))
			t.say("%s", indent("      ", j.text))
		}
		l.journal = nil
	}
}

// print folds lanes that said the same of a step into one entry each.
func (t *Text) print(step string) {
	if step == (steps.Rollback{}).Name() {
		t.journals()
	}
	var entries []string
	who := map[string][]string{}
	for _, key := range t.order {
		l := t.lanes[key]
		s := l.steps[step]
		if s == nil || (!s.done && len(s.lines) == 0) {
			continue
		}
		delete(l.steps, step)
		if s.status == plans.Skipped || (s.status == plans.Nothing && !t.Verbose) {
			continue
		}
		entry := t.entry(s)
		if who[entry] == nil {
			entries = append(entries, entry)
		}
		who[entry] = append(who[entry], t.name(l))
	}
	for _, entry := range entries {
		head, body, _ := strings.Cut(entry, "\x00")
		t.say("  %-13s %s%s\n", step, t.who(who[entry]), head)
		t.say("%s", indent("    ", body))
	}
}

// who names lanes: hosts, when it is all of them.
func (t *Text) who(names []string) string {
	if t.several && len(names) == len(t.order) {
		return Who(t.members, len(t.members))
	}
	return Who(names, len(t.order))
}

// entry is a step's line after the hosts' names, and what stands below it, separated by a NUL.
func (t *Text) entry(s *stepView) string {
	head, body := "", s.lines
	if len(body) == 1 && !strings.Contains(body[0], "\n") {
		head, body = "  "+t.Style.dim(body[0]), nil
	}
	switch s.status {
	case plans.Failed:
		head = " " + t.Style.bad("FAILED") + "  " + s.text
		body = s.lines
	case plans.Nothing:
		head = "  nothing to do"
	}
	return head + "\x00" + strings.Join(body, "\n")
}

func (t *Text) name(l *laneView) string {
	if t.several {
		return l.host + "/" + l.service
	}
	return l.host
}

// report is the result: every host's outcome, folded, worst first.
func (t *Text) report(e plans.Event) {
	order := []plans.Outcome{plans.RollbackFailed, plans.UnknownOutcome, plans.FailedHost, plans.RolledBack, plans.Refused,
		plans.Unreachable, plans.SkippedHost, plans.Unchanged, plans.Deployed}
	for _, outcome := range order {
		t.outcome(outcome, e.Hosts)
	}
	if e.Text != "" {
		_, _ = fmt.Fprintf(t.Out, "%s\n", t.Style.bad(e.Text))
	}
}

func (t *Text) outcome(outcome plans.Outcome, hosts []plans.HostResult) {
	var entries []string
	who, hint := map[string][]string{}, map[string]string{}
	for _, h := range hosts {
		if h.Outcome != outcome {
			continue
		}
		entry := resultText(h)
		if who[entry] == nil {
			entries = append(entries, entry)
		}
		name := h.Host
		if t.several {
			name += "/" + h.Service
		}
		who[entry], hint[entry] = append(who[entry], name), h.Hint
	}
	for _, entry := range entries {
		word := outcomeWord(t.Style, outcome)
		if done := doneWords[t.plan]; done != "" && outcome == plans.Unchanged {
			word = t.Style.good(fmt.Sprintf("%-15s", done))
		}
		_, _ = fmt.Fprintf(t.Out, "%s  %s%s\n", word, strings.Join(who[entry], ", "), Clean(entry))
		if hint[entry] != "" {
			_, _ = fmt.Fprintf(t.Out, "    hint: %s\n", Clean(hint[entry]))
		}
	}
}

func resultText(h plans.HostResult) string {
	text := ""
	if h.Release != "" {
		text += "  " + labelled(h.Release, h.Label)
	}
	if h.Step != "" {
		text += "  at " + h.Step
	}
	if h.Text != "" {
		text += ": " + strings.TrimPrefix(h.Text, h.Step+": ") // the step is said once
	}
	return text
}

// doneWords say to people what a plan did that leaves the files unchanged.
var doneWords = map[string]string{"restart": "restarted", "lock": "held", "unlock": "unlocked"}

func outcomeWord(style Style, o plans.Outcome) string {
	word := fmt.Sprintf("%-15s", o)
	switch o {
	case plans.Deployed, plans.Unchanged:
		return style.good(word)
	case plans.SkippedHost:
		return word
	case plans.RolledBack, plans.Refused, plans.Unreachable:
		return style.warn(word)
	}
	return style.bad(word)
}
