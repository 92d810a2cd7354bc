package steps

import (
	"strings"

	"github.com/seatrial/seatrial/remote"
)

// LogSetup makes the log directory with its owner, group and mode.
type LogSetup struct{}

// Name implements Step.
func (LogSetup) Name() string { return "log-setup" }

// Effect implements Step.
func (LogSetup) Effect() Effect { return Writes }

// Preview implements Step.
func (s LogSetup) Preview(t Transaction) []Line {
	want := t.Service.Log
	if want == nil {
		return nil
	}
	have, ok := t.Facts.Dir[want.Path]
	if !ok {
		return []Line{change(s, "create %s (%s:%s, mode %s)", want.Path, want.Owner, want.Group, want.Mode)}
	}
	var lines []Line
	if have.Owner != want.Owner || have.Group != want.Group {
		lines = append(lines, change(s, "%s: owner %s:%s -> %s:%s", want.Path, have.Owner, have.Group, want.Owner, want.Group))
	}
	if strings.TrimLeft(have.Mode, "0") != strings.TrimLeft(want.Mode, "0") {
		lines = append(lines, change(s, "%s: mode %s -> %s", want.Path, have.Mode, strings.TrimLeft(want.Mode, "0")))
	}
	if lines == nil {
		lines = []Line{same(s, "%s is as it should be", want.Path)}
	}
	return lines
}

// Requests implements Step.
func (s LogSetup) Requests(t Transaction) []remote.Request {
	l := t.Service.Log
	if l == nil {
		return nil
	}
	return []remote.Request{t.request(s.Name(), "log_setup", l.Path, l.Owner, l.Group, l.Mode)}
}
