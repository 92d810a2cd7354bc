package plans

import (
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/steps"
)

func TestLacks(t *testing.T) {
	files := []steps.File{{Path: webPath, Digest: strings.Repeat("a", 64)}}
	past := func(id, outcome, digit string) steps.Past {
		return steps.Past{ID: id, Outcome: outcome, Files: map[string]string{webPath: strings.Repeat(digit, 12)}}
	}
	for _, test := range []struct {
		name string
		host HostFacts
		want string
	}{
		{"nothing", HostFacts{}, "no release of seatrial's is installed"},
		{"another", HostFacts{Release: "2", Label: "v2", Releases: []steps.Past{past("2", steps.Committed, "b")}}, "2 (v2) is installed"},
		{"committed", HostFacts{Release: "1", Releases: []steps.Past{past("1", steps.Committed, "a")}}, ""},
		{"committed, and another since", HostFacts{Release: "2", Releases: []steps.Past{past("1", steps.Committed, "a"), past("2", steps.Committed, "b")}}, ""},
		{"rolled back later", HostFacts{Release: "2", Releases: []steps.Past{past("1", steps.Committed, "a"), past("1", steps.RolledBack, "a")}},
			"it was rolled back, and 2 is installed"},
		{"rolled back, then committed as another", HostFacts{Releases: []steps.Past{past("1", steps.RolledBack, "a"), past("3", steps.Committed, "a")}}, ""},
		{"found", HostFacts{Release: "0", Releases: []steps.Past{past("0", steps.Found, "a")}}, "it was found there and never committed; 0 is installed"},
		{"away", HostFacts{Outcome: Unreachable, Text: "no route"}, "unreachable, no route"},
	} {
		if got := test.host.lacks(files); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// Hosts of one environment that lack the release are said together, and those that do not run the service are not asked.
func TestLackingFolds(t *testing.T) {
	var all []HostFacts
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		all = append(all, HostFacts{Host: name, Service: "web", Release: "1"})
	}
	all = append(all, HostFacts{Host: "x", Service: "other"}, HostFacts{Host: "z", Service: "web", Outcome: Unreachable, Text: "no route"})
	want := "a, b, c, d, e and 2 more: 1 is installed; z: unreachable, no route"
	if got := lacking(all, steps.Service{Name: "web"}); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := lacking(all, steps.Service{Name: "db"}); got != "no host there runs service db" {
		t.Errorf("nowhere: %q", got)
	}
}

// What web-1 has not committed is not deployed to web-2: nothing is changed there, and the survey of web-1 is no event.
func TestRequired(t *testing.T) {
	f := newFleet(t, 2, unit("--old"), unit("--new"))
	staging := *f.order.Environment
	staging.Hosts = f.order.Hosts[:1]
	first := f.order
	first.Environment, first.Hosts = &staging, staging.Hosts
	second := f.order
	second.Hosts, second.Require = f.order.Hosts[1:], []*inventory.Environment{&staging}

	do := func(o Order) int {
		f.events = nil
		run := f.runner.Survey(t.Context(), o)
		defer run.Close()
		return run.Do(t.Context())
	}
	if code := do(second); code != ExitRefused {
		t.Fatalf("exit code %d", code)
	}
	last := f.events[len(f.events)-1].Hosts
	if len(last) != 1 || last[0].Outcome != Refused || last[0].Hint != "seatrial deploy staging" ||
		last[0].Text != "the release is not committed on every host of staging, which is required: web-1: no release of seatrial's is installed" {
		t.Errorf("reported: %+v", last)
	}
	for _, e := range f.events {
		if e.Host == "web-1" {
			t.Errorf("an event of the required host: %+v", e)
		}
	}
	if u := f.hosts["web-2"].Unit("web.service"); u.Running != unit("--old") {
		t.Errorf("web-2 runs %q", u.Running)
	}
	if left := f.hosts["web-2"].List("/var/lib/seatrial/."); len(left) > 0 {
		t.Errorf("left on web-2: %v", left)
	}
	other := f.runner.Survey(t.Context(), Order{Plan: Deploy(), Environment: second.Environment, Hosts: second.Hosts, Services: second.Services})
	defer other.Close()
	other.prepare(t.Context(), other.lanes)
	waiting := f.runner.Survey(t.Context(), second)
	defer waiting.Close()
	if code := waiting.ExitCode(); code != ExitLocked {
		t.Fatalf("another run holds the lease: exit code %d", code)
	}
	other.abandon(other.lanes)
	waiting.Await(t.Context(), time.Minute)
	if code := waiting.ExitCode(); code != ExitRefused {
		t.Errorf("after another run: exit code %d", code)
	}
	if code := do(first); code != ExitOK {
		t.Fatalf("web-1: exit code %d", code)
	}
	if code := do(second); code != ExitOK {
		t.Errorf("web-2, after web-1: exit code %d: %+v", code, f.events[len(f.events)-1].Hosts)
	}
}
