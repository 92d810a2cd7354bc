package steps

import "fmt"

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
		if last.Outcome == Committed && !have.usual() {
			all = append(all, Drift{f.Path, fmt.Sprintf("%s is %s; release %s left it %s", f.Path, have.attributes(), last.ID, usualAttributes), false})
		}
	}
	return all
}

// What files of a release are on a host.
const usualAttributes = "root:root mode 644"

func (f FileFacts) attributes() string { return fmt.Sprintf("%s:%s mode %s", f.Owner, f.Group, f.Mode) }
func (f FileFacts) usual() bool        { return f.attributes() == usualAttributes }

// Outcomes of releases in a host's history.
const (
	Committed  = "committed"
	Found      = "found" // was there before seatrial, or was made by hand
	RolledBack = "rolled-back"
)
