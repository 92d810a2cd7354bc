package steps

import (
	"fmt"
	"slices"
)

// Drift is one way in which a file is not as the release that was committed last left it.
type Drift struct {
	Path    string
	Text    string
	Content bool // its bytes differ, or it is gone
}

// Drift compares the host with the release that was committed last there. What a run that died left does not count: it is
// undone before anything else is done.
func (t Transaction) Drift() []Drift {
	last := t.Last
	if t.Facts.Record.Unfinished() {
		return nil
	}
	var all []Drift
	for _, f := range t.Service.Files {
		want, ours := last.Files[f.Path]
		have := t.Facts.File(f.Path)
		switch {
		case !ours:
			continue // new in the inventory
		case have.Digest == none:
			all = append(all, Drift{f.Path, fmt.Sprintf("%s is gone; release %s has it", f.Path, last.ID), true})
			continue
		case short(have.Digest) != want:
			all = append(all, Drift{f.Path, fmt.Sprintf("%s is not as release %s left it", f.Path, last.ID), true})
		}
		if have.Attributes != usual && !t.Facts.found(last.ID) {
			all = append(all, Drift{f.Path, fmt.Sprintf("%s is %s; release %s left it %s", f.Path, have.Words(), last.ID, usual.Words()), false})
		}
	}
	return all
}

// found reports whether the host had the release before it was committed: its mode and owner are somebody else's choice.
func (f Facts) found(release string) bool {
	return slices.ContainsFunc(f.Releases, func(p Past) bool { return p.ID == release && p.Outcome == Found })
}

// Outcomes of releases in a host's history.
const (
	Committed  = "committed"
	Found      = "found" // was there before seatrial, or was made by hand
	RolledBack = "rolled-back"
)
