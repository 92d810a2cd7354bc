package ui

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/plans"
)

// TestCheck: what is not well stands in the order of the inventory, whatever the order of the events; a terminal's line of
// what is being done is gone at the end.
func TestCheck(t *testing.T) {
	output := func(host string, kind plans.OutputKind, check string) plans.Event {
		return plans.Event{Type: plans.StepOutput, Host: host, Service: "web", Step: "health-check", Kind: kind, Check: check, Text: "said\x1b[2J\n"}
	}
	var out, live bytes.Buffer
	c := &Check{Out: &out, Live: &live}
	for _, e := range []plans.Event{
		{Type: plans.RunStarted, Environment: "staging"},
		{Type: plans.StepStarted, Host: "b", Service: "web", Step: "health-check"},
		output("b", plans.CheckBad, "disk"),
		output("a", plans.CheckHmm, "settings"),
		output("a", plans.CheckBad, "disk"),
		output("c", plans.CheckOK, "disk"),
		{Type: plans.RunFinished, Hosts: []plans.HostResult{
			{Host: "a", Service: "web", Outcome: plans.FailedHost, Step: "health-check", Text: "1 of 2 checks failed: disk"},
			{Host: "b", Service: "web", Outcome: plans.FailedHost, Step: "health-check", Text: "1 of 2 checks failed: disk"},
			{Host: "c", Service: "web", Outcome: plans.Unchanged},
			{Host: "c", Service: "worker", Outcome: plans.FailedHost, Step: "verify", Text: "dead", Hint: "look"},
		}},
	} {
		c.Event(e)
	}
	want := `staging: 3 of 3 hosts not well: web, worker, with 1 warning
failed           a/web, b/web  at health-check: disk
    said?[2J
failed           c/worker  at verify: dead
    hint: look
warning          a/web  at health-check: settings
    said?[2J
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if want := "\r\x1b[K  health-check  b ...\r\x1b[K"; live.String() != want {
		t.Errorf("live: %q, want %q", &live, want)
	}
	out.Reset()
	c.Event(plans.Event{Type: plans.RunFinished})
	if want := "staging: nothing to check: no host runs this service\n"; out.String() != want {
		t.Errorf("nothing to do: %q, want %q", &out, want)
	}
}
