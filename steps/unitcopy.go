package steps

import (
	"fmt"

	"github.com/seatrial/seatrial/remote"
)

// UnitCopy stages the new files beside their places, has systemd lint them, and keeps the old ones.
type UnitCopy struct{}

// Name implements Step.
func (UnitCopy) Name() string { return "unit-copy" }

// Effect implements Step.
func (UnitCopy) Effect() Effect { return Writes }

// Preview implements Step.
func (s UnitCopy) Preview(t Transaction) []Line {
	var lines []Line
	for _, f := range t.Service.Files {
		have := t.Facts.File(f.Path)
		switch {
		case f.Digest == none && have.Digest != none:
			lines = append(lines, Line{s.Name(), "remove " + f.Path + ": that release does not have it", true})
			continue
		case have.Digest == f.Digest && f.Digest == none:
			continue
		case have.Digest == f.Digest:
			lines = append(lines, Line{s.Name(), f.Path + " is unchanged", false})
		case have.Digest == none:
			lines = append(lines, Line{s.Name(), "new " + f.Path, true})
		default:
			lines = append(lines, Line{s.Name(), fmt.Sprintf("update %s (%.8s -> %.8s)", f.Path, have.Digest, f.Digest), true})
		}
		if have.Digest != none && (have.Mode != "644" || have.Owner != "root" || have.Group != "root") {
			lines = append(lines, Line{s.Name(), fmt.Sprintf("%s: %s:%s mode %s -> root:root mode 644", f.Path, have.Owner, have.Group, have.Mode), true})
		}
	}
	if !t.Facts.Analyze {
		lines = append(lines, Line{s.Name(), "no systemd-analyze on this host: the unit is not linted", false})
	}
	return lines
}

// Requests implements Step.
func (s UnitCopy) Requests(t Transaction) []remote.Request {
	args := []string{t.Token}
	for _, f := range t.Service.Files {
		args = append(args, f.Path, string(f.Content))
	}
	return []remote.Request{t.request(s.Name(), "unit_copy", args...)}
}
