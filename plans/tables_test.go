package plans

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/steps"
)

// The names are public: they stand in JSON, in --fail and in the README.
func TestPlansAreFrozen(t *testing.T) {
	tests := []struct {
		plan   Plan
		want   string
		writes bool
	}{
		{Deploy(), "deploy: prepare(lock log-setup health-check guard unit-copy) trial(trial reload start settle verify) commit(commit)", true},
		{Rollback(), "rollback: prepare(lock guard unit-copy) trial(trial reload start settle verify) commit(commit)", true},
		{Restart(), "restart: prepare(lock health-check) trial(start settle verify) commit(release)", true},
		{Check(), "check: prepare(health-check verify)", false},
	}
	for _, tt := range tests {
		var phases []string
		for _, p := range tt.plan.Phases {
			var names []string
			for _, s := range p.Steps {
				names = append(names, s.Name())
			}
			phases = append(phases, p.Name+"("+strings.Join(names, " ")+")")
		}
		if got := tt.plan.Name + ": " + strings.Join(phases, " "); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if tt.plan.Writes() != tt.writes {
			t.Errorf("%s: Writes() is %v", tt.plan.Name, !tt.writes)
		}
	}
}

func TestEffects(t *testing.T) {
	reads := map[string]bool{"health-check": true, "settle": true, "verify": true}
	for _, p := range append(Deploy().Phases, Restart().Phases...) {
		for _, s := range p.Steps {
			if (s.Effect() == steps.Reads) != reads[s.Name()] {
				t.Errorf("%s has effect %s", s.Name(), s.Effect())
			}
		}
	}
}

func TestSplit(t *testing.T) {
	percent := func(p int) inventory.Share { return inventory.Share{Percent: p} }
	count := func(n int) inventory.Share { return inventory.Share{Count: n} }
	tests := []struct {
		name    string
		hosts   int
		tagged  []int // hosts with the tag canary, from 1
		rollout inventory.Rollout
		want    string
	}{
		{"one wave", 3, nil, inventory.Rollout{}, "1,2,3"},
		{"one host", 1, nil, inventory.Rollout{Canary: inventory.Canary{Count: 1}}, "1"},
		{"canary", 3, nil, inventory.Rollout{Canary: inventory.Canary{Count: 1}}, "1 2,3"},
		{"two canaries", 3, nil, inventory.Rollout{Canary: inventory.Canary{Count: 2}}, "1,2 3"},
		{"more canaries than hosts", 2, nil, inventory.Rollout{Canary: inventory.Canary{Count: 9}}, "1,2"},
		{"tag", 4, []int{3}, inventory.Rollout{Canary: inventory.Canary{Tag: "canary"}}, "3 1,2,4"},
		{"tags", 4, []int{2, 4}, inventory.Rollout{Canary: inventory.Canary{Tag: "canary"}}, "2,4 1,3"},
		{"tag that no host has", 2, nil, inventory.Rollout{Canary: inventory.Canary{Tag: "canary"}}, "1,2"},
		{"tag that all have", 2, []int{1, 2}, inventory.Rollout{Canary: inventory.Canary{Tag: "canary"}}, "1,2"},
		{"percent", 4, nil, inventory.Rollout{Waves: []inventory.Share{percent(25), percent(100)}}, "1 2,3,4"},
		{"percent of few", 2, nil, inventory.Rollout{Waves: []inventory.Share{percent(10), percent(50), percent(100)}}, "1 2"},
		{"counts are cumulative", 6, nil, inventory.Rollout{Waves: []inventory.Share{count(1), count(3), count(6)}}, "1 2,3 4,5,6"},
		{"the rest comes last", 6, nil, inventory.Rollout{Waves: []inventory.Share{count(2)}}, "1,2 3,4,5,6"},
		{"canary within the first share", 4, nil, inventory.Rollout{Canary: inventory.Canary{Count: 1}, Waves: []inventory.Share{percent(25), percent(100)}}, "1 2,3,4"},
		{"canary and a larger share", 4, nil, inventory.Rollout{Canary: inventory.Canary{Count: 1}, Waves: []inventory.Share{percent(50), percent(100)}}, "1 2 3,4"},
		{"falling shares", 4, nil, inventory.Rollout{Waves: []inventory.Share{count(3), count(1), count(4)}}, "1,2,3 4"},
		{"no hosts", 0, nil, inventory.Rollout{Canary: inventory.Canary{Count: 1}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var lanes []*lane
			for i := range tt.hosts {
				h := &inventory.Host{Name: fmt.Sprint(i + 1)}
				if slices.Contains(tt.tagged, i+1) {
					h.Tags = []string{"other", "canary"}
				}
				lanes = append(lanes, &lane{host: h}, &lane{host: h}) // two services on each
			}
			var got []string
			for _, wave := range split(lanes, tt.rollout) {
				if len(wave)%2 != 0 {
					t.Error("the services of a host are in different waves")
				}
				got = append(got, strings.Join(names(wave), ","))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

func TestWorse(t *testing.T) {
	order := []int{ExitOK, ExitUsage, ExitRefused, ExitLocked, ExitFailed, ExitLook}
	for i, a := range order {
		for j, b := range order {
			if got := WorseExit(a, b); got != order[max(i, j)] {
				t.Errorf("WorseExit(%d, %d) = %d", a, b, got)
			}
		}
	}
	outcomes := []Outcome{Unchanged, Deployed, SkippedHost, Unreachable, Refused, FailedHost, RolledBack, RollbackFailed, UnknownOutcome}
	for i, a := range outcomes {
		for j, b := range outcomes {
			if got := worse(a, b); got != outcomes[max(i, j)] {
				t.Errorf("worse(%s, %s) = %s", a, b, got)
			}
		}
	}
	codes := map[Outcome]int{Deployed: 0, Unchanged: 0, SkippedHost: 0, Unreachable: 4, Refused: 4, FailedHost: 3, RolledBack: 3,
		RollbackFailed: 6, UnknownOutcome: 6}
	for _, o := range outcomes {
		if o.exitCode() != codes[o] {
			t.Errorf("exit code of %s is %d", o, o.exitCode())
		}
	}
}

func TestReleaseIDs(t *testing.T) {
	at := time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	a, b := steps.File{Path: "/a", Digest: "1"}, steps.File{Path: "/b", Digest: "2"}
	id := releaseID(at, []steps.File{a, b})
	if !strings.HasPrefix(id, "20260102T030405Z-") || len(id) != len("20260102T030405Z-01234567") {
		t.Errorf("got %s", id)
	}
	if releaseID(at, []steps.File{b, a}) != id {
		t.Error("the order of the files counts")
	}
	if releaseID(at.Add(time.Second), []steps.File{a, b}) <= id {
		t.Error("ids do not sort by time")
	}
	for _, other := range [][]steps.File{{a}, {a, {Path: "/b", Digest: "3"}}, {a, {Path: "/c", Digest: "2"}}, nil} {
		if filesDigest(other) == filesDigest([]steps.File{a, b}) {
			t.Errorf("%v has the same digest", other)
		}
	}
}

func TestHistory(t *testing.T) {
	past := func(text string) history { // "id outcome, ..."; what stands after the dash is the unit's digest
		var h history
		for _, l := range strings.Split(text, ", ") {
			id, outcome, _ := strings.Cut(l, " ")
			_, digest, _ := strings.Cut(id, "-")
			h = append(h, steps.Past{ID: id, Outcome: outcome, Label: "v" + id, Files: map[string]string{webPath: digest}})
		}
		return h
	}
	tests := []struct {
		name, history, digest string
		current, before, last string // before is asked of current
	}{
		{"first", "1-aaaa committed", "aaaa", "1-aaaa", "", "1-aaaa"},
		{"second", "1-aaaa committed, 2-bbbb committed", "bbbb", "2-bbbb", "1-aaaa", "2-bbbb"},
		{"found by hand", "1-aaaa found, 2-bbbb committed", "bbbb", "2-bbbb", "1-aaaa", "2-bbbb"},
		{"changed by hand since", "1-aaaa committed, 2-bbbb committed", "cccc", "", "2-bbbb", "2-bbbb"},
		{"put back by hand", "1-aaaa committed, 2-bbbb committed", "aaaa", "1-aaaa", "", "2-bbbb"},
		{"a release that failed", "1-aaaa committed, 2-bbbb rolled-back", "aaaa", "1-aaaa", "", "1-aaaa"},
		{"committed and taken back by the fleet", "1-aaaa committed, 2-bbbb committed, 2-bbbb rolled-back", "aaaa", "1-aaaa", "", "1-aaaa"},
		{"a bad one in between", "1-aaaa committed, 2-bbbb committed, 2-bbbb rolled-back, 3-cccc committed", "cccc", "3-cccc", "1-aaaa", "3-cccc"},
		{"bad, and good at last", "1-aaaa rolled-back, 1-aaaa committed, 3-cccc committed", "cccc", "3-cccc", "1-aaaa", "3-cccc"},
		{"back on the first: nothing older", "1-aaaa committed, 2-bbbb committed, 1-aaaa committed", "aaaa", "1-aaaa", "", "1-aaaa"},
		{"the same content twice", "1-aaaa committed, 2-bbbb committed, 3-aaaa committed", "aaaa", "3-aaaa", "2-bbbb", "3-aaaa"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := past(tt.history)
			current := h.current([]steps.File{{Path: webPath, Digest: tt.digest}}).ID
			if before, last := h.before(current).ID, h.last().ID; current != tt.current || before != tt.before || last != tt.last {
				t.Errorf("got current %q, before %q, last %q; want %q, %q, %q", current, before, last, tt.current, tt.before, tt.last)
			}
		})
	}
	h := past("1-aaaa committed, 2-bbbb committed, 3-cccc rolled-back")
	h = append(h, steps.Past{ID: "4-dddd", Outcome: steps.Committed, Label: "v1-aaaa"}, h[1])
	for name, want := range map[string]string{"1-aaaa": "1-aaaa", "v2-bbbb": "2-bbbb", "3-cccc": "3-cccc", "v3-cccc": "", "v9": "", "v1-aaaa": "4-dddd 1-aaaa"} {
		var got []string
		for _, p := range h.named(name) {
			got = append(got, p.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// What a deploy writes, a service of another shape must not lose.
func TestStepsService(t *testing.T) {
	s := web(unit("x"))
	template := unitOf("work@.service", "t")
	template.Instances = []string{"1", "b"}
	s.Units = append(s.Units, template)
	s.Logs = &inventory.Logs{Directory: "/var/log/web", Owner: "www", Group: "adm", Mode: "0750",
		Logrotate: &inventory.File{Target: "/etc/logrotate.d/web", Content: []byte("r"), Digest: digestOf([]byte("r"))}}
	s.Checks = []inventory.Check{{Name: "d", Directory: "/d", Severity: inventory.SeverityWarning}, {Name: "f", File: "/f"}, {Name: "x", Executable: "/x"},
		{Name: "c", Command: []string{"a", "$(b)\n'"}, User: "www", WorkingDirectory: "/w", Environment: []inventory.Variable{{Name: "A", Value: "b c"}}}}
	got := stepsService(s)
	var files, runs, checks []string
	for _, f := range got.Files {
		files = append(files, f.Path)
	}
	for _, r := range got.Runs {
		runs = append(runs, r.Unit+"="+r.File)
	}
	for _, c := range got.Checks {
		checks = append(checks, fmt.Sprintf("%s %v %s %q %s %s %q", c.Name, c.Warning, c.Kind, c.Words, c.User, c.WorkingDirectory, c.Environment))
	}
	want := []string{
		"/etc/systemd/system/web.service /etc/systemd/system/work@.service /etc/logrotate.d/web",
		"web.service=/etc/systemd/system/web.service work@1.service=/etc/systemd/system/work@.service work@b.service=/etc/systemd/system/work@.service",
		`d true directory ["/d"]   []` + " " + `f false file ["/f"]   []` + " " + `x false executable ["/x"]   []` + " " + `c false command ["a" "$(b)\n'"] www /w ["A=b c"]`,
	}
	for i, list := range [][]string{files, runs, checks} {
		if s := strings.Join(list, " "); s != want[i] {
			t.Errorf("got  %s\nwant %s", s, want[i])
		}
	}
	if got.Log == nil || *got.Log != (steps.Directory{Path: "/var/log/web", Owner: "www", Group: "adm", Mode: "0750"}) {
		t.Errorf("log directory %+v", got.Log)
	}
}
