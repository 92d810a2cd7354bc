// Package plans holds the deployments themselves: ordered lists of steps, and the runner that carries a plan out on
// all hosts at once, wave by wave, and brings hosts back when it fails. Everything that happens is an [Event].
package plans

import (
	"slices"

	"github.com/seatrial/seatrial/steps"
)

// A Plan is what is done, in order. Hosts do a phase side by side; between phases they wait for each other.
type Plan struct {
	Name   string
	Phases []Phase
}

// A Phase is a list of steps that need no decision of ours in between, so they cost one round trip.
type Phase struct {
	Name  string
	Steps []steps.Step
}

// The phases. Prepare is done on every host before any host changes; Try and Keep are done wave by wave.
const (
	Prepare = "prepare"
	Try     = "trial"
	Keep    = "commit"
)

// Deploy pushes a release: as a trial first, which is committed once it has settled and verified.
// The rollback of a release is the same plan, with the files of an older one.
func Deploy() Plan {
	return Plan{"deploy", []Phase{
		{Prepare, []steps.Step{
			steps.Lock{},
			steps.LogSetup{},
			steps.HealthCheck{},
			steps.Guard{},
			steps.UnitCopy{},
		}},
		{Try, []steps.Step{
			steps.Trial{},
			steps.Reload{},
			steps.Start{},
			steps.Settle{},
			steps.Verify{},
		}},
		{Keep, []steps.Step{
			steps.Commit{},
		}},
	}}
}

// Rollback tries and commits a release that ran before just as Deploy does a new one. The checks of the inventory are
// about the new one, and are not run.
func Rollback() Plan {
	prepare := Phase{Prepare, []steps.Step{
		steps.Lock{},
		steps.Guard{},
		steps.UnitCopy{},
	}}
	return Plan{"rollback", append([]Phase{prepare}, Deploy().Phases[1:]...)}
}

// Restart restarts what is installed, with the same checks.
func Restart() Plan {
	return Plan{"restart", []Phase{
		{Prepare, []steps.Step{
			steps.Lock{},
			steps.HealthCheck{},
		}},
		{Try, []steps.Step{
			steps.Start{},
			steps.Settle{},
			steps.Verify{},
		}},
		{Keep, []steps.Step{
			steps.Release{},
		}},
	}}
}

// Check changes nothing: the checks, and what runs.
func Check() Plan {
	return Plan{"check", []Phase{
		{Prepare, []steps.Step{
			steps.HealthCheck{},
			steps.Verify{Anytime: true},
		}},
	}}
}

// Hold takes a maintenance lock on every host.
func Hold(message string) Plan {
	return Plan{"lock", []Phase{
		{Prepare, []steps.Step{
			steps.Hold{Message: message},
		}},
	}}
}

// Unlock gives back what Hold, or with steal a run, has taken.
func Unlock(steal bool) Plan {
	return Plan{"unlock", []Phase{
		{Prepare, []steps.Step{
			steps.Unlock{Steal: steal},
		}},
	}}
}

// Named is the plan of that name, as a run journal has it.
func Named(name string) (Plan, bool) {
	for _, p := range []Plan{Deploy(), Rollback(), Restart()} {
		if p.Name == name {
			return p, true
		}
	}
	return Plan{}, false
}

// Look only takes the facts, for a command of that name.
func Look(name string) Plan { return Plan{Name: name} }

// Writes reports whether the plan may change a host.
func (p Plan) Writes() bool {
	return slices.ContainsFunc(p.Phases, Phase.writes)
}

func (p Phase) writes() bool {
	return slices.ContainsFunc(p.Steps, func(s steps.Step) bool { return s.Effect() == steps.Writes })
}

// starts reports whether something is started that may not run yet.
func (p Phase) starts() bool {
	for _, s := range p.Steps {
		switch s.(type) {
		case steps.Trial, steps.Start:
			return true
		}
	}
	return false
}

// tries reports whether the plan changes what runs, and so is a transaction under the lease.
func (p Plan) tries() bool { return p.phase(Try).Steps != nil }

func (p Plan) phase(name string) Phase {
	for _, phase := range p.Phases {
		if phase.Name == name {
			return phase
		}
	}
	return Phase{}
}

// brings reports whether the plan installs the inventory's files, and not those of an older release.
func (p Plan) brings() bool { return p.commits() && p.Name != Rollback().Name }

// commits reports whether the plan ends in a release being installed.
func (p Plan) commits() bool {
	for _, s := range p.phase(Keep).Steps {
		if _, ok := s.(steps.Commit); ok {
			return true
		}
	}
	return false
}
