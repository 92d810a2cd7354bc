package steps

import (
	"github.com/seatrial/seatrial/remote"
)

// Hold is a maintenance lock that a person takes, with a reason. Nothing waits on it, and it does not end by itself.
type Hold struct{ Message string }

// Name implements Step.
func (Hold) Name() string { return "hold" }

// Effect implements Step.
func (Hold) Effect() Effect { return Writes }

// Preview implements Step.
func (s Hold) Preview(Transaction) []Line {
	return []Line{change(s, "hold for maintenance: %s", s.Message)}
}

// Requests implements Step.
func (s Hold) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "hold", t.Owner, t.Since, s.Message)}
}

// Unlock removes a maintenance lock; with Steal it takes the lease away from a run, whose transaction is undone first.
type Unlock struct{ Steal bool }

// Name implements Step.
func (Unlock) Name() string { return "unlock" }

// Effect implements Step.
func (Unlock) Effect() Effect { return Writes }

// Preview implements Step.
func (s Unlock) Preview(t Transaction) []Line {
	var lines []Line
	if m := t.Facts.Maintenance; m.Owner != "" {
		lines = append(lines, change(s, "remove the maintenance lock of %s, since %s: %s", m.Owner, m.Since, m.Message))
	}
	r, does := t.Facts.Record, "undo what its run left"
	if r.State == "COMMITTING" {
		does = "finish or undo its commit"
	}
	switch left := t.Facts.LeaseLeft(); {
	case r.Unfinished() && (left == 0 || s.Steal):
		lines = append(lines, change(s, "take the lease of %s away, and %s (release %s, %s)", r.Owner, does, r.Release, r.State))
	case left > 0:
		lines = append(lines, same(s, "the lease is held by %s, since %s, for %s more: --steal takes it away", r.Owner, r.Since, left))
	}
	if lines == nil {
		lines = []Line{same(s, "nobody holds it")}
	}
	return lines
}

// Requests implements Step.
func (s Unlock) Requests(t Transaction) []remote.Request {
	if !t.Facts.Record.Unfinished() && t.Facts.Maintenance.Owner == "" {
		return nil
	}
	how := "-"
	if s.Steal {
		how = "steal"
	}
	return []remote.Request{t.request(s.Name(), "unlock", t.Token, how, t.Owner)}
}
