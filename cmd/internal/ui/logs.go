package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seatrial/seatrial/plans"
)

// Logs shows journals: on Out nothing but their lines, behind the host's name; on Err what is to be said of hosts.
type Logs struct {
	Out, Err io.Writer
	Style    Style

	members []string
	width   int
}

// Event implements Display.
func (l *Logs) Event(e plans.Event) {
	switch e.Type {
	case plans.RunStarted:
		l.members = e.Members
		for _, m := range e.Members {
			l.width = max(l.width, len(m))
		}
	case plans.StepOutput:
		Error(l.Err, e.Host+": "+e.Text, e.Hint)
	case plans.RunFinished:
		for _, h := range e.Hosts {
			if h.Outcome != "" {
				Error(l.Err, h.Host+": "+h.Text, h.Hint)
			}
		}
	}
}

// Line shows an entry; each line of it has the host's name.
func (l *Logs) Line(line plans.LogLine) {
	head := fmt.Sprintf("%-*s", l.width, line.Host)
	if l.Style.Color {
		head = l.Style.paint(hostColors[max(0, slices.Index(l.members, line.Host))%len(hostColors)], head)
	}
	at := l.Style.dim(line.Time.Local().Format("2006-01-02T15:04:05.000-0700"))
	source := Clean(line.Source)
	if source != "" {
		source += ": "
	}
	for text := range strings.SplitSeq(Clean(line.Text), "\n") {
		_, _ = fmt.Fprintf(l.Out, "%s  %s %s%s\n", head, at, source, text)
	}
}

// hostColors are told apart on light and dark ground; red is for what is wrong.
var hostColors = []string{"36", "33", "32", "35", "34", "96", "93", "92", "95", "94"}
