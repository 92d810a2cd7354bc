package plans

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/seatrial/seatrial/steps"
)

// HostPreview is what a plan would do to one service on one host, from the same facts and by the same code as the plan
// itself. The JSON names are public.
type HostPreview struct {
	Host     string             `json:"host"`
	Service  string             `json:"service"`
	Release  string             `json:"release,omitempty"`
	Label    string             `json:"label,omitempty"`
	Current  string             `json:"current,omitempty"` // release that is there now, and what a failure leads back to
	Outcome  Outcome            `json:"outcome,omitempty"` // why it would not be done: unreachable, refused
	Text     string             `json:"text,omitempty"`
	Hint     string             `json:"hint,omitempty"`
	Files    []steps.FileChange `json:"files,omitempty"`
	Units    []steps.UnitChange `json:"units,omitempty"`
	Lines    []steps.Line       `json:"lines,omitempty"`
	Diff     string             `json:"diff,omitempty"`    // unified, of all files
	Drift    []string           `json:"drift,omitempty"`   // what is not as the release that was committed last left it
	Drifted  string             `json:"drifted,omitempty"` // diff from that release to what is there
	Unknown  []string           `json:"unknown,omitempty"` // what cannot be known before it is done
	Changes  bool               `json:"changes"`           // files would change
	Locked   bool               `json:"locked,omitempty"`
	Refusals []steps.Refusal    `json:"-"`
}

// Preview says what Do would do. Pure: it uses the facts of the survey, and what Inspect has found.
func (r *Run) Preview() []HostPreview {
	var all []HostPreview
	for _, l := range r.lanes {
		all = append(all, l.preview(r.Order.Plan))
	}
	return all
}

func (l *lane) preview(plan Plan) HostPreview {
	p := HostPreview{Host: l.host.Name, Service: l.tx.Service.Name, Release: l.tx.Release, Label: l.tx.Label,
		Current: cmp.Or(l.tx.Current, l.tx.Previous), Outcome: l.result.Outcome, Text: l.result.Text, Hint: l.result.Hint,
		Locked: l.locked, Refusals: l.refusal, Drifted: l.drifted}
	for _, d := range l.tx.Drift() {
		p.Drift = append(p.Drift, d.Text)
	}
	if p.Outcome != "" {
		return p
	}
	for _, phase := range plan.Phases {
		for _, s := range phase.Steps {
			p.Lines = append(p.Lines, s.Preview(l.tx)...)
		}
	}
	if plan.tries() {
		p.Units = l.tx.UnitChanges(plan.commits())
		p.Unknown = l.unknowable(plan)
	}
	if plan.commits() {
		p.Files, p.Changes, p.Diff = l.tx.FileChanges(), !l.tx.Unchanged(), diff(l.tx)
		p.Lines = append(p.Lines, steps.Rollback{}.Preview(l.tx)...)
	}
	return p
}

// unknowable is what no look at the host can tell.
func (l *lane) unknowable(plan Plan) []string {
	all := []string{"whether the unit starts, settles and verifies"}
	if !l.checked && len(l.tx.Service.Checks) > 0 && slices.ContainsFunc(plan.phase(Prepare).Steps, func(s steps.Step) bool { return s == steps.HealthCheck{} }) {
		all = append(all, "whether the checks pass: seatrial plan --checks runs them")
	}
	return all
}

// Inspect asks the hosts for what a preview shows beyond the facts: systemd's lint of new units, the content that has
// drifted, and with checks the inventory's checks. It only reads. What would make the plan fail is a refusal.
func (r *Run) Inspect(ctx context.Context, checks bool) {
	r.each(r.lanes, func(l *lane) {
		l.readDrift(ctx)
		if l.result.Outcome != "" {
			return
		}
		if checks { // first, as in the plan
			l.phase(ctx, Phase{Steps: []steps.Step{steps.HealthCheck{}}})
			l.checked = true
		}
		if r.Order.Plan.commits() {
			l.lint(ctx)
		}
		if l.failure != nil {
			l.end(Refused)
		}
	})
}

// lint says what systemd has found in the new units, and asks for it unless that is known by now.
func (l *lane) lint(ctx context.Context) {
	lint := Phase{Steps: []steps.Step{steps.Lint{}}}
	if l.linted != nil {
		l.walk(ctx, lint, l.linted)
	} else {
		l.phase(ctx, lint)
	}
}

// readDrift fetches the release that was committed last, where something differs from it.
func (l *lane) readDrift(ctx context.Context) {
	if l.helper == nil || !slices.ContainsFunc(l.tx.Drift(), func(d steps.Drift) bool { return d.Content }) {
		return
	}
	kept, err := l.readRelease(ctx, l.tx.Last.ID)
	if err != nil {
		return // the host keeps it no more, or has gone; that it drifted is known all the same
	}
	l.drifted = driftDiff(l.tx, kept)
}

// Planned ends a run that was only surveyed, with this exit code: it reports what stands in the way.
func (r *Run) Planned(code int) {
	var hosts []HostResult
	for _, l := range r.lanes {
		hosts = append(hosts, l.result)
	}
	r.emit(Event{Type: RunFinished, ExitCode: &code, Hosts: hosts})
}

// ExitCode of a run that is only previewed: what stands in the way.
func (r *Run) ExitCode() int {
	code := ExitOK
	for _, l := range r.lanes {
		code = WorseExit(code, l.exitCode())
	}
	return code
}

// diff of each file that changes, old to new, as `diff -u` has it; owner and mode where they differ.
func diff(t steps.Transaction) string {
	var b strings.Builder
	for _, c := range t.FileChanges() {
		if c.Action == steps.Keep {
			continue
		}
		b.WriteString(unified(head(c.Path, c.From, c.To), head(c.Path, c.To, c.From),
			t.Facts.File(c.Path).Content, t.Service.File(c.Path).Content))
	}
	return b.String()
}

// head names a file in a diff, with owner and mode where those of the other side differ.
func head(path string, this, other *steps.FileState) string {
	switch {
	case this == nil:
		return "/dev/null"
	case other != nil && this.Attributes != other.Attributes:
		return fmt.Sprintf("%s (%s)", path, this.Words())
	}
	return path
}

func unified(from, to string, a, b []byte) string {
	if string(a) == string(b) {
		return fmt.Sprintf("--- %s\n+++ %s\n", from, to)
	}
	return udiff.Unified(from, to, string(a), string(b))
}

// driftDiff is from the files of the release that was committed last to what is there.
func driftDiff(t steps.Transaction, kept map[string]steps.File) string {
	var b strings.Builder
	for _, d := range t.Drift() {
		old, ok := kept[path.Base(d.Path)]
		if !d.Content || !ok {
			continue
		}
		to := d.Path + " (on the host)"
		if t.Facts.File(d.Path).Digest == absent {
			to = "/dev/null"
		}
		b.WriteString(unified(fmt.Sprintf("%s (release %s)", d.Path, t.Last.ID), to, old.Content, t.Facts.File(d.Path).Content))
	}
	return b.String()
}

// HostFacts are the facts of one service on one host, for status and history; Err is why there are none.
type HostFacts struct {
	Host, Service string
	Facts         steps.Facts
	Units         []string
	Release       string // what is installed, when the host knows it as a release
	Label         string
	Drift         []string // what is not as the release that was committed last left it
	Drifted       string   // the diff, after Inspect
	Releases      []steps.Past
	Text, Hint    string // why there are no facts
	Outcome       Outcome
}

// Facts of every lane.
func (r *Run) Facts() []HostFacts {
	var all []HostFacts
	for _, l := range r.lanes {
		hf := HostFacts{Host: l.host.Name, Service: l.tx.Service.Name, Facts: l.tx.Facts}
		if l.tx.Facts.BootID == "" {
			hf.Outcome, hf.Text, hf.Hint = l.result.Outcome, l.result.Text, l.result.Hint
		}
		files, _ := installed(l.tx.Service, l.tx.Facts)
		current := history(l.tx.Facts.Releases).current(files)
		hf.Release, hf.Label, hf.Drifted, hf.Releases = current.ID, current.Label, l.drifted, l.tx.Facts.Releases
		for _, d := range l.tx.Drift() {
			hf.Drift = append(hf.Drift, d.Text)
		}
		for _, run := range l.tx.Service.Runs {
			hf.Units = append(hf.Units, run.Unit)
		}
		all = append(all, hf)
	}
	return all
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
