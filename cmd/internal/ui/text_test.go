package ui

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/plans"
)

// TestText: the same events in another order give the same text; hosts that say the same are one line.
func TestText(t *testing.T) {
	started := plans.Event{Type: plans.RunStarted, Plan: "deploy", Environment: "staging", Members: []string{"b", "a"}}
	lane := func(kind plans.EventType, host, service, step string) plans.Event {
		return plans.Event{Type: kind, Host: host, Service: service, Step: step}
	}
	ok := func(host, service, step string) plans.Event {
		e := lane(plans.StepFinished, host, service, step)
		e.Status = plans.OK
		return e
	}
	failed := func(host, service, step, text string) plans.Event {
		e := ok(host, service, step)
		e.Status, e.Text = plans.Failed, text
		return e
	}
	journal := func(host, text string) plans.Event {
		e := lane(plans.StepOutput, host, "web", "settle")
		e.Kind, e.Text = plans.JournalLines, text
		return e
	}
	tests := []struct {
		name   string
		events []plans.Event
		want   string
	}{
		{"folded", []plans.Event{
			lane(plans.HostStarted, "a", "web", ""), lane(plans.HostStarted, "b", "web", ""),
			lane(plans.StepStarted, "a", "web", "lock"), lane(plans.StepStarted, "b", "web", "lock"), ok("a", "web", "lock"), ok("b", "web", "lock"),
		}, "  lock          2 hosts\n"},
		{"one of two is not through with it", []plans.Event{
			lane(plans.HostStarted, "a", "web", ""), lane(plans.HostStarted, "b", "web", ""),
			lane(plans.StepStarted, "a", "web", "lock"), lane(plans.StepStarted, "b", "web", "lock"), ok("a", "web", "lock"),
		}, ""},
		{"services, in any order", []plans.Event{
			lane(plans.HostStarted, "a", "worker", ""), lane(plans.HostStarted, "a", "api", ""), lane(plans.HostStarted, "b", "api", ""),
			lane(plans.StepStarted, "a", "api", "lock"), lane(plans.StepStarted, "a", "worker", "lock"), lane(plans.StepStarted, "b", "api", "lock"),
			failed("a", "worker", "lock", "taken"), ok("b", "api", "lock"), ok("a", "api", "lock"),
		}, "  lock          b/api, a/api\n  lock          a/worker FAILED  taken\n"},
		{"journals wait, and come in the inventory's order", []plans.Event{
			lane(plans.HostStarted, "a", "web", ""), lane(plans.HostStarted, "b", "web", ""),
			lane(plans.StepStarted, "a", "web", "settle"), lane(plans.StepStarted, "b", "web", "settle"),
			failed("a", "web", "settle", "died"), journal("a", "last words\x1b[2J"), failed("b", "web", "settle", "died"), journal("b", "words"),
			ok("a", "web", "rollback"), lane(plans.WaveFinished, "", "", ""),
		}, "  settle        2 hosts FAILED  died\n    journal of b, this start only:\n      words\n    journal of a, this start only:\n      last words?[2J\n  rollback      a\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			text := &Text{Out: &out, Err: &errs}
			text.Event(started)
			errs.Reset()
			for _, e := range tt.events {
				text.Event(e)
			}
			if diff := cmp.Diff(tt.want, errs.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if out.Len() > 0 {
				t.Errorf("on stdout: %s", &out)
			}
		})
	}
}

// TestReport: the result is on stdout, worst first, and the step is said once.
func TestReport(t *testing.T) {
	var out, errs bytes.Buffer
	text := &Text{Out: &out, Err: &errs}
	text.Event(plans.Event{Type: plans.RunStarted, Members: []string{"a", "b", "c"}})
	text.Event(plans.Event{Type: plans.RunFinished, Hosts: []plans.HostResult{
		{Host: "a", Outcome: plans.Deployed, Release: "r2"}, {Host: "b", Outcome: plans.Deployed, Release: "r2"},
		{Host: "c", Outcome: plans.Unreachable, Step: "connect", Text: "connect: no route", Hint: "look\x07"},
	}})
	want := "unreachable      c  at connect: no route\n    hint: look?\ndeployed         a, b  r2\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
