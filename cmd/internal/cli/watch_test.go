package cli

import (
	"strings"
	"testing"

	"github.com/seatrial/seatrial/plans"
)

type deaf struct{}

func (deaf) Event(plans.Event) {}

// Whoever leaves at once is told of every host that is not as it was, what it will do by itself, and by when.
func TestFarewell(t *testing.T) {
	began := func(step string, hosts ...string) (all []plans.Event) {
		for _, h := range hosts {
			all = append(all, plans.Event{Type: plans.StepStarted, Host: h, Step: step})
		}
		return all
	}
	done := func(step, host string, status plans.Status) []plans.Event {
		return []plans.Event{{Type: plans.StepFinished, Host: host, Step: step, Status: status}}
	}
	const held, trial = "on the release that they have, and free for other runs within 1m0s: ", "in trial, and they begin to go back to the old release by themselves within 1m0s: "
	const keep, kept = "being committed, and on the new release or back on the old one within 1m0s: ", "committed, and left so or on the way back to the old release: "
	tests := []struct {
		name   string
		events [][]plans.Event
		want   []string
	}{
		{"nothing", nil, nil},
		{"facts only", [][]plans.Event{{{Type: plans.HostStarted, Host: "a"}}}, nil},
		{"leases", [][]plans.Event{began("lock", "a", "b")}, []string{held + "a, b"}},
		{"every kind", [][]plans.Event{began("lock", "a", "b", "c", "d"), began("trial", "a", "b", "c"), began("commit", "a", "b"), done("commit", "a", plans.OK)},
			[]string{held + "d", trial + "c", keep + "b", kept + "a"}},
		{"a commit that failed", [][]plans.Event{began("commit", "a"), done("commit", "a", plans.Failed)}, []string{keep + "a"}},
		{"back again", [][]plans.Event{began("trial", "a", "b"), done("rollback", "a", plans.OK)}, []string{trial + "b"}},
		{"a rollback that failed", [][]plans.Event{began("trial", "a"), done("rollback", "a", plans.Failed)}, []string{trial + "a"}},
		{"over before the trial", [][]plans.Event{began("lock", "a", "b"), {{Type: plans.HostFinished, Host: "a", Outcome: plans.SkippedHost}}}, []string{held + "b"}},
		{"deployed", [][]plans.Event{began("commit", "a"), done("commit", "a", plans.OK), {{Type: plans.HostFinished, Host: "a", Outcome: plans.Deployed}}}, []string{kept + "a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &watch{Display: deaf{}}
			for _, some := range tt.events {
				for _, e := range some {
					w.Event(e)
				}
			}
			want := strings.Join(append([]string{"left at once"}, tt.want...), "; ")
			if got, hint := w.farewell(); got != want || hint == "" {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
