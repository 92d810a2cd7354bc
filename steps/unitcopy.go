package steps

import (
	"cmp"

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
	for _, f := range t.FileChanges() {
		switch {
		case f.Action == Remove:
			lines = append(lines, change(s, "remove %s: that release does not have it", f.Path))
			continue
		case f.Action == Create:
			lines = append(lines, change(s, "new %s", f.Path))
			continue
		case f.From.Digest == f.To.Digest:
			lines = append(lines, same(s, "%s is unchanged", f.Path))
		default:
			lines = append(lines, change(s, "update %s (%.8s -> %.8s)", f.Path, f.From.Digest, f.To.Digest))
		}
		if f.From.Attributes != f.To.Attributes {
			lines = append(lines, change(s, "%s: %s -> %s", f.Path, f.From.Words(), f.To.Words()))
		}
	}
	if !t.Facts.Analyze {
		lines = append(lines, same(s, "no systemd-analyze on this host: the unit is not linted"))
	}
	return lines
}

// Requests implements Step.
func (s UnitCopy) Requests(t Transaction) []remote.Request {
	args := []string{t.Token}
	for _, f := range t.Service.Files {
		a := cmp.Or(f.Attributes, usual)
		args = append(args, f.Path, a.Mode, a.Owner+":"+a.Group, string(f.Content))
	}
	return []remote.Request{t.request(s.Name(), "unit_copy", args...)}
}
