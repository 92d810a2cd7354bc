package plans

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/inventory"
)

func TestRollouts(t *testing.T) {
	t.Parallel()
	canary := inventory.Rollout{Canary: inventory.Canary{Count: 1}}
	with := func(r inventory.Rollout, change func(*inventory.Rollout)) inventory.Rollout { change(&r); return r }
	halves := inventory.Rollout{Waves: []inventory.Share{{Percent: 50}, {Percent: 100}}}
	tests := []struct {
		name     string
		hosts    int
		faults   string // "start@3 commit@1"; down@N: cannot be reached
		rollout  inventory.Rollout
		code     int
		outcomes string
		waves    string
	}{
		{"one host", 1, "", inventory.Rollout{}, 0, "deployed", "1"},
		{"six in three waves", 6, "", with(halves, func(r *inventory.Rollout) { r.Canary.Count = 1 }), 0,
			"deployed deployed deployed deployed deployed deployed", "1 2,3 4,5,6"},
		{"one after the other", 3, "", inventory.Rollout{MaxParallel: 1}, 0, "deployed deployed deployed", "1,2,3"},

		{"the canary dies", 3, "settle@1", canary, 3, "rolled-back skipped skipped", "1"},
		{"one dies in the second wave: all go back", 3, "start@3", canary, 3, "rolled-back rolled-back rolled-back", "1 2,3"},
		{"the same, rollback-failed", 3, "start@3", with(canary, func(r *inventory.Rollout) { r.OnFailure = inventory.RollbackFailed }), 3,
			"deployed deployed rolled-back", "1 2,3"},
		{"the same, halt", 3, "start@3", with(canary, func(r *inventory.Rollout) { r.OnFailure = inventory.Halt }), 3,
			"deployed rolled-back rolled-back", "1 2,3"},
		{"halt before the last wave", 4, "start@2", with(halves, func(r *inventory.Rollout) { r.OnFailure = inventory.Halt }), 3,
			"rolled-back rolled-back skipped skipped", "1,2"},
		{"rollback-failed before the last wave", 4, "verify@2", with(halves, func(r *inventory.Rollout) { r.OnFailure = inventory.RollbackFailed }), 3,
			"deployed rolled-back skipped skipped", "1,2"},

		{"one failure is within the budget", 4, "start@2", with(halves, func(r *inventory.Rollout) { r.MaxFailed.Count = 1 }), 3,
			"deployed rolled-back deployed deployed", "1,2 3,4"},
		{"two are not", 4, "start@2 verify@3", with(halves, func(r *inventory.Rollout) { r.MaxFailed.Count = 1 }), 3,
			"rolled-back rolled-back rolled-back rolled-back", "1,2 3,4"},
		{"a budget in percent", 4, "start@2", with(halves, func(r *inventory.Rollout) { r.MaxFailed.Percent = 25 }), 3,
			"deployed rolled-back deployed deployed", "1,2 3,4"},
		{"a commit fails: all go back", 3, "commit@2", inventory.Rollout{}, 3, "rolled-back rolled-back rolled-back", "1,2,3"},
		{"a commit fails within the budget", 3, "commit@2", inventory.Rollout{MaxFailed: inventory.Share{Count: 1}}, 3,
			"deployed rolled-back deployed", "1,2,3"},
		{"a reload is refused", 2, "reload@1", inventory.Rollout{}, 3, "rolled-back rolled-back", "1,2"},
		{"the old unit does not come back", 2, "rollback@2", inventory.Rollout{}, 6, "rolled-back rollback-failed", "1,2"},

		{"a host cannot be prepared: none is begun", 3, "health-check@3", canary, 3, "skipped skipped failed", ""},
		{"the guard cannot be armed", 2, "guard@2", inventory.Rollout{}, 3, "skipped failed", ""},
		{"nor with a budget", 2, "unit-copy@2", inventory.Rollout{MaxFailed: inventory.Share{Count: 2}}, 3, "skipped failed", ""},
		{"another run holds a host", 2, "lock@2", inventory.Rollout{}, 5, "skipped failed", ""},

		{"unreachable: fail", 3, "down@2", inventory.Rollout{}, 4, "skipped unreachable skipped", ""},
		{"unreachable: skip", 3, "down@2", inventory.Rollout{Unreachable: inventory.UnreachableSkip}, 4, "deployed unreachable deployed", "1,3"},
		{"unreachable: skip, and a failure", 3, "down@2 start@3", inventory.Rollout{Unreachable: inventory.UnreachableSkip}, 3,
			"rolled-back unreachable rolled-back", "1,3"},
		{"none can be reached: skip", 1, "down@1", inventory.Rollout{Unreachable: inventory.UnreachableSkip}, 4, "unreachable", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := short(t, tt.hosts, unit("old"), unit("new"))
			f.rolls(tt.rollout)
			f.fail(tt.faults)
			if code := f.run(t.Context()); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if got := f.outcomes(); got != tt.outcomes {
				t.Errorf("outcomes\n%s, want\n%s\n%+v", got, tt.outcomes, f.results())
			}
			if got := strings.ReplaceAll(f.waves(), "web-", ""); got != tt.waves {
				t.Errorf("waves %s, want %s", got, tt.waves)
			}
			for _, r := range f.results() {
				if r.Outcome != RollbackFailed && !strings.Contains(tt.faults, "lock@") {
					f.holds(r.Host, unit("old"), unit("new"))
				}
			}
			f.preparedFirst()
			f.finished()
		})
	}
}

// rolls sets the rollout, but for what the inventory fills in.
func (f *fleet) rolls(r inventory.Rollout) {
	if r.MaxParallel == 0 {
		r.MaxParallel = 50
	}
	if r.Unreachable == "" {
		r.Unreachable = inventory.UnreachableFail
	}
	if r.OnFailure == "" {
		r.OnFailure = inventory.RollbackAll
	}
	f.order.Environment.Rollout = r
}

// fail breaks steps: "settle@1 down@2".
func (f *fleet) fail(faults string) {
	f.t.Helper()
	for _, fault := range strings.Fields(faults) {
		step, host, _ := strings.Cut(fault, "@")
		switch step {
		case "settle", "rollback":
			f.order.Services[0].Settle.Window = 10 * time.Second // the program dies after 8 s
		case "health-check":
			f.order.Services[0].Checks = []inventory.Check{{Name: "migrations", Command: []string{"manage.py"}, Timeout: time.Second}}
		}
		if step == "down" {
			f.unplug("web-" + host)
		} else if err := f.hosts["web-"+host].Fail(step); err != nil {
			f.t.Fatal(err)
		}
	}
}

// waves are the members of the waves that were begun.
func (f *fleet) waves() string {
	var all []string
	for _, e := range f.events {
		if e.Type == WaveStarted {
			all = append(all, strings.Join(e.Members, ","))
		}
	}
	return strings.Join(all, " ")
}

// preparedFirst fails the test when a host was changed before all had been prepared, or after it had failed.
func (f *fleet) preparedFirst() {
	f.t.Helper()
	changing := []string{"trial", "reload", "start", "commit"}
	first := slices.IndexFunc(f.events, func(e Event) bool { return e.Type == StepStarted && slices.Contains(changing, e.Step) })
	for i, e := range f.events {
		if first >= 0 && i > first && e.Type == StepStarted && slices.Contains([]string{"lock", "log-setup", "health-check", "unit-copy", "guard"}, e.Step) {
			f.t.Errorf("%s was prepared (%s) after a host had been changed", e.Host, e.Step)
		}
	}
	failed := map[string]bool{}
	for _, e := range f.events {
		if e.Type == StepStarted && failed[e.Host] {
			f.t.Errorf("%s: %s was begun after a failure", e.Host, e.Step)
		}
		failed[e.Host] = failed[e.Host] || e.Type == StepFinished && e.Status == Failed
	}
}

// finished fails the test unless every step that is started is finished, before the next one on that host is.
func (f *fleet) finished() {
	f.t.Helper()
	begun := map[string]string{}
	for _, e := range f.events {
		switch {
		case e.Type == StepStarted && begun[e.Host] != "":
			f.t.Errorf("%s is started while %s goes on", e.Step, begun[e.Host])
		case e.Type == StepStarted:
			begun[e.Host] = e.Step
		case e.Type == StepFinished && begun[e.Host] == e.Step:
			begun[e.Host] = ""
		case e.Type == StepFinished && e.Status != Nothing && e.Status != Skipped && e.Step != "rollback":
			f.t.Errorf("%s is finished (%s), and was not started", e.Step, e.Status)
		}
	}
	for host, step := range begun {
		if step != "" {
			f.t.Errorf("%s: %s was not finished", host, step)
		}
	}
}

func TestFirstInstall(t *testing.T) {
	t.Parallel()
	t.Run("good", func(t *testing.T) {
		t.Parallel()
		f := short(t, 2, "", unit("new"))
		if code := f.run(t.Context()); code != ExitOK {
			t.Fatalf("exit code %d, %+v", code, f.results())
		}
		f.runs("web-1", unit("new"))
		if state := f.hosts["web-1"].Unit("web.service").FileState; state != "enabled" {
			t.Errorf("after a first install the unit is %s", state)
		}
	})
	t.Run("bad", func(t *testing.T) {
		t.Parallel()
		f := short(t, 2, "", unit("--crash-after=1s", "Restart=always"))
		if code := f.run(t.Context()); code != ExitFailed || f.outcomes() != "rolled-back rolled-back" {
			t.Errorf("exit code %d, %+v", code, f.results())
		}
		f.runs("web-1", "")
		f.runs("web-2", "")
	})
	t.Run("good here, bad there", func(t *testing.T) {
		t.Parallel()
		f := short(t, 2, "", unit("new"))
		f.rolls(inventory.Rollout{Canary: inventory.Canary{Count: 1}})
		f.fail("verify@2")
		if code := f.run(t.Context()); code != ExitFailed || f.outcomes() != "rolled-back rolled-back" {
			t.Errorf("exit code %d, %+v", code, f.results())
		}
		f.runs("web-1", "")
		f.runs("web-2", "")
	})
}

// The journal of the start that failed is shown, and only of that.
func TestEvidence(t *testing.T) {
	t.Parallel()
	f := short(t, 1, unit("old"), unit("--crash-after=1s", "Restart=always"))
	f.run(t.Context())
	i := slices.IndexFunc(f.events, func(e Event) bool { return e.Kind == JournalLines })
	if i < 0 {
		t.Fatal("no journal")
	}
	e := f.events[i]
	if e.Step != "settle" || !strings.Contains(e.Text, "fatal: giving up") || strings.Contains(e.Text, "Stopped") || strings.Count(e.Text, "Started web.service") != 1 {
		t.Errorf("step %s, journal\n%s", e.Step, e.Text)
	}
}
