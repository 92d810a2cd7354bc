package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

// lane is one service on one host.
type lane struct{ host, service string }

// watch knows how far the hosts are, for a person who leaves at once.
type watch struct {
	ui.Display

	mu    sync.Mutex
	held  []lane // whose lease was taken, and nothing else
	trial []lane // in the order in which they began
	keep  []lane // whose commit was asked for, and not answered
	kept  []lane // committed by this run
}

// Event implements ui.Display.
func (w *watch) Event(e plans.Event) {
	w.note(e)
	w.Display.Event(e)
}

func (w *watch) note(e plans.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of := lane{e.Host, e.Service}
	move := func(to *[]lane) {
		for _, list := range []*[]lane{&w.held, &w.trial, &w.keep, &w.kept} {
			*list = slices.DeleteFunc(*list, func(l lane) bool { return l == of })
		}
		if to != nil {
			*to = append(*to, of)
		}
	}
	switch began, done := e.Type == plans.StepStarted, e.Type == plans.StepFinished && e.Status == plans.OK; {
	case began && e.Step == "lock":
		move(&w.held)
	case began && e.Step == "trial":
		move(&w.trial)
	case began && e.Step == "commit":
		move(&w.keep)
	case done && e.Step == "commit":
		move(&w.kept)
	case done && e.Step == "rollback", e.Type == plans.HostFinished && e.Outcome != plans.Deployed:
		move(nil)
	}
}

// hosts by name, each once.
func hosts(lanes []lane) string {
	var names []string
	for _, l := range lanes {
		if !slices.Contains(names, l.host) {
			names = append(names, l.host)
		}
	}
	return strings.Join(names, ", ")
}

// farewell says what becomes of the hosts when nobody looks after them any more.
func (w *watch) farewell() (text, hint string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text = "left at once"
	if len(w.held) > 0 {
		text += fmt.Sprintf("; on the release that they have, and free for other runs within %s: %s", plans.DefaultLease, hosts(w.held))
	}
	if len(w.trial) > 0 {
		text += fmt.Sprintf("; in trial, and they begin to go back to the old release by themselves within %s: %s", plans.DefaultLease, hosts(w.trial))
	}
	if len(w.keep) > 0 {
		text += fmt.Sprintf("; being committed, and on the new release or back on the old one within %s: %s", plans.DefaultLease, hosts(w.keep))
	}
	if len(w.kept) > 0 {
		text += "; committed, and left so or on the way back to the old release: " + hosts(w.kept)
	}
	return text, "seatrial resume takes the run up; seatrial status shows where the hosts are"
}
