package cli

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seatrial/seatrial/plans"
)

// jsonLines holds the output against the contract: what is first and last, what belongs together, and that nothing is in it
// which has no name.
func (s *story) jsonLines(ts *testscript.TestScript) {
	lines := strings.Split(strings.TrimSuffix(s.stdout, "\n"), "\n")
	var events []plans.Event
	for i, line := range lines {
		var kind struct{ Type string }
		if err := json.Unmarshal([]byte(line), &kind); err != nil || kind.Type == "" {
			ts.Fatalf("line %d is no object with a type: %v: %s", i+1, err, line)
		}
		if first := kind.Type == "version"; first != (i == 0) {
			ts.Fatalf("line %d is of type %s", i+1, kind.Type)
		}
		if !strings.Contains(kind.Type, ".") || strings.HasPrefix(kind.Type, "host.status") || strings.HasPrefix(kind.Type, "host.planned") ||
			kind.Type == "log.line" || kind.Type == "inventory.host" {
			continue
		}
		var e plans.Event
		strict := json.NewDecoder(bytes.NewReader([]byte(line)))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&e); err != nil {
			ts.Fatalf("line %d: %v: %s", i+1, err, line)
		}
		events = append(events, e)
	}
	if err := s.agree(events); err != "" {
		ts.Fatalf("%s", err)
	}
}

// agree says what does not fit together in the events of one command.
func (s *story) agree(events []plans.Event) string {
	if len(events) == 0 {
		return "no events"
	}
	first, last := events[0], events[len(events)-1]
	switch {
	case first.Type != plans.RunStarted:
		return "the first event is " + string(first.Type)
	case last.Type != plans.RunFinished:
		return "the last event is " + string(last.Type)
	case last.ExitCode == nil || *last.ExitCode != s.code:
		return "run.finished has another exit code than the program"
	}
	open := map[string]bool{}
	finished := map[string]plans.HostResult{}
	for _, e := range events {
		step := e.Run + e.Host + "/" + e.Service + " " + e.Step
		switch e.Type {
		case plans.StepStarted:
			open[step] = true
		case plans.StepOutput:
			if !open[step] && e.Kind != plans.JournalLines && e.Kind != plans.Note {
				return "output of a step that is not being done: " + step
			}
		case plans.StepFinished:
			delete(open, step)
		case plans.HostFinished:
			finished[e.Host+"/"+e.Service] = plans.HostResult{Host: e.Host, Service: e.Service, Outcome: e.Outcome,
				Release: e.Release, Step: e.Step, Text: e.Text, Hint: e.Hint}
		case plans.RunFinished:
			for _, h := range e.Hosts {
				if diff := cmp.Diff(finished[h.Host+"/"+h.Service], h); diff != "" && len(finished) > 0 {
					return "host.finished and run.finished differ:\n" + diff
				}
			}
		}
	}
	for step := range open {
		return "never finished: " + step
	}
	return ""
}
