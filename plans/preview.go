package plans

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/seatrial/seatrial/steps"
)

// HostPreview is what a plan would do to one service on one host, from the same facts and by the same code as the plan
// itself. Everything in it is comparable text, so identical hosts can be folded.
type HostPreview struct {
	Host     string          `json:"host"`
	Service  string          `json:"service"`
	Release  string          `json:"release,omitempty"`
	Outcome  Outcome         `json:"outcome,omitempty"` // why it would not be done: unreachable, refused
	Text     string          `json:"text,omitempty"`
	Hint     string          `json:"hint,omitempty"`
	Lines    []steps.Line    `json:"lines,omitempty"`
	Diff     string          `json:"diff,omitempty"` // unified, of all files
	Changes  bool            `json:"changes"`        // the files differ
	Locked   bool            `json:"locked,omitempty"`
	Refusals []steps.Refusal `json:"-"`
}

// Preview says what Do would do. Pure: it uses the facts of the survey.
func (r *Run) Preview() []HostPreview {
	var all []HostPreview
	for _, l := range r.lanes {
		p := HostPreview{Host: l.host.Name, Service: l.tx.Service.Name, Release: l.tx.Release, Outcome: l.result.Outcome,
			Text: l.result.Text, Hint: l.result.Hint, Locked: l.locked, Refusals: l.refusal}
		if p.Outcome == "" {
			p.Changes = !l.tx.Unchanged()
			p.Diff = diff(l.tx)
			for _, phase := range r.Order.Plan.Phases {
				for _, s := range phase.Steps {
					p.Lines = append(p.Lines, s.Preview(l.tx)...)
				}
			}
			if r.Order.Plan.commits() {
				p.Lines = append(p.Lines, steps.Rollback{}.Preview(l.tx)...)
			}
		}
		all = append(all, p)
	}
	return all
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

// diff of each file, old to new, as `diff -u` has it.
func diff(t steps.Transaction) string {
	var b strings.Builder
	for _, f := range t.Service.Files {
		have := t.Facts.File(f.Path)
		if have.Digest == f.Digest {
			continue
		}
		from := f.Path
		if have.Digest == "none" {
			from = "/dev/null"
		}
		b.WriteString(udiff.Unified(from, f.Path, string(have.Content), string(f.Content)))
	}
	return b.String()
}

// HostFacts are the facts of one service on one host, for status and history; Err is why there are none.
type HostFacts struct {
	Host, Service string
	Facts         steps.Facts
	Units         []string
	Release       string // what is installed, when the host knows it as a release
	Text, Hint    string // why there are no facts
}

// Facts of every lane.
func (r *Run) Facts() []HostFacts {
	var all []HostFacts
	for _, l := range r.lanes {
		hf := HostFacts{Host: l.host.Name, Service: l.tx.Service.Name, Facts: l.tx.Facts}
		if l.tx.Facts.BootID == "" {
			hf.Text, hf.Hint = l.result.Text, l.result.Hint
		}
		files, _ := installed(l.tx.Service, l.tx.Facts)
		hf.Release = history(l.tx.Facts.Releases).current(files).ID
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
