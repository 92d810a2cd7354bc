package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

// watch knows which hosts are in trial, for a person who leaves at once.
type watch struct {
	ui.Display

	mu    sync.Mutex
	trial []string // in the order in which they began
	kept  []string // committed by this run
}

// Event implements ui.Display.
func (w *watch) Event(e plans.Event) {
	w.mu.Lock()
	switch {
	case e.Type == plans.StepStarted && e.Step == "trial":
		w.trial = append(w.trial, e.Host)
	case e.Type == plans.StepFinished && e.Step == "commit" && e.Status == plans.OK:
		w.kept = append(w.kept, e.Host)
		w.trial = without(w.trial, e.Host)
	case e.Type == plans.StepFinished && e.Step == "rollback" && e.Status == plans.OK:
		w.trial, w.kept = without(w.trial, e.Host), without(w.kept, e.Host)
	}
	w.mu.Unlock()
	w.Display.Event(e)
}

func without(hosts []string, host string) []string {
	return slices.DeleteFunc(hosts, func(h string) bool { return h == host })
}

// farewell says what becomes of the hosts when nobody looks after them any more.
func (w *watch) farewell() (text, hint string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text = "left at once"
	if len(w.trial) > 0 {
		text += fmt.Sprintf("; in trial, and back on the old release by themselves within %s: %s", plans.DefaultLease, strings.Join(w.trial, ", "))
	}
	if len(w.kept) > 0 {
		text += "; committed, and left as they are: " + strings.Join(w.kept, ", ")
	}
	return text, "seatrial resume takes the run up; seatrial status shows where the hosts are"
}
