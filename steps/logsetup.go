package steps

import (
	"fmt"
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
		return []Line{{s.Name(), fmt.Sprintf("create %s (%s:%s, mode %s)", want.Path, want.Owner, want.Group, want.Mode), true}}
	}
	var lines []Line
	if have.Kind != "directory" {
		return []Line{{s.Name(), fmt.Sprintf("%s is a %s, not a directory: this will fail", want.Path, have.Kind), true}}
	}
	if have.Owner != want.Owner || have.Group != want.Group {
		lines = append(lines, Line{s.Name(), fmt.Sprintf("%s: owner %s:%s -> %s:%s", want.Path, have.Owner, have.Group, want.Owner, want.Group), true})
	}
	if strings.TrimLeft(have.Mode, "0") != strings.TrimLeft(want.Mode, "0") {
		lines = append(lines, Line{s.Name(), fmt.Sprintf("%s: mode %s -> %s", want.Path, have.Mode, strings.TrimLeft(want.Mode, "0")), true})
	}
	if lines == nil {
		lines = []Line{{s.Name(), want.Path + " is as it should be", false}}
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
