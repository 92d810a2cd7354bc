package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The lease, one restart with its window, and a busy machine.
const leaseAndRestart = 150 * time.Second

// pick thins a list out: all of it in the full matrix, else so few, each suite others.
func pick[T any](m *matrix, turn, few int, list []T) []T {
	if m.full {
		return list
	}
	return spread(list, few, turn)
}

// spread is n of a list, evenly, and others for each turn.
func spread[T any](list []T, n, turn int) []T {
	var some []T
	for i := range min(n, len(list)) {
		some = append(some, list[(i*len(suites)+turn)*len(list)/(n*len(suites))])
	}
	return some
}

// controllerKilled: kill -9 at each event of a good deploy, and at random moments. Every other trial waits for the guard,
// the others are resumed.
func (m *matrix) controllerKilled() []part {
	var events, parts = make([]int, m.events-1), []part{}
	for i := range events {
		events[i] = i + 1
	}
	for i, h := range m.single {
		for j, n := range pick(m, i, 1, events) {
			x := m.trial(h, "controller killed at an event", kind(j)%kinds)
			x.what = fmt.Sprintf("kill -9 at line %d", n)
			parts = append(parts, part{x, func() { x.killed(func(c *controller) bool { return c.killAt(n) }, j/int(kinds)%2 == 0) }})
		}
		for j := range pick(m, i, 1, make([]int, 30)) {
			x := m.trial(h, "controller killed at a random moment", kind(j)%kinds)
			after := rand.N(6 * time.Second)
			x.what = fmt.Sprintf("kill -9 after %s", after)
			parts = append(parts, part{x, func() {
				x.killed(func(c *controller) bool { time.Sleep(after); c.kill(); <-c.ended; return c.outcome() == "" }, j/int(kinds)%2 == 1)
			}})
		}
	}
	return parts
}

func (x *trial) killed(kill func(*controller) bool, resumed bool) {
	release := x.enter()
	c := x.start("deploy", "lab", "--json")
	x.met = kill(c)
	release()
	if !resumed {
		x.judge(leaseAndRestart, c.outcome())
		return
	}
	x.what += ", resumed"
	x.judge(30*time.Second, c.outcome(), x.resume())
}

// killedAt makes trials in which a script is killed at commands, each in one of the ways.
func (m *matrix) killedAt(class string, points map[string][]point, some func(k kind, j int) bool, make func(x *trial, p point, v variant) func()) []part {
	var parts []part
	for i, h := range m.single {
		for k := range kinds {
			if !m.meets(h, k) {
				continue
			}
			for j, p := range pick(m, i, 1, points[key(h, k)]) {
				if m.full && some != nil && !some(k, j) {
					continue
				}
				x := m.trial(h, class, k)
				parts = append(parts, part{x, make(x, p, variants[(i+int(k)+j)%len(variants)])})
			}
		}
	}
	return parts
}

// aThird of the commands is enough for a kind: the others are tried with other kinds.
func aThird(k kind, j int) bool { return j%int(kinds) == int(k) }

type variant struct{ when, how string }

// Before or after the command, with or without the helper above the script.
var variants = []variant{{"before", "shells"}, {"after", "all"}, {"after", "shells"}, {"before", "all"}}

// scriptKilled: the host's script is killed at each command that it gives on its way to the commit; the controller lives.
func (m *matrix) scriptKilled() []part {
	return m.killedAt("script killed at a command", m.good, func(k kind, j int) bool { return k == update || aThird(k, j) },
		func(x *trial, p point, v variant) func() { return func() { x.crashed(p, v) } })
}

func (x *trial) crashed(p point, v variant) {
	if err := x.order(p, v.when, v.how); err != nil {
		x.wrong("%v", err)
		return
	}
	report := x.deploy()
	x.met = x.hit()
	x.judge(leaseAndRestart, report)
}

// rollbackKilled: a bad release, whose rollback is killed at each command.
func (m *matrix) rollbackKilled() []part {
	return m.killedAt("rollback killed at a command", m.undo, nil, func(x *trial, p point, v variant) func() {
		x.bad = true
		return func() { x.crashed(p, v) }
	})
}

// undoKilled: the release is committed, then another host fails, and taking it back is killed at each command; so is the
// controller, every other time.
func (m *matrix) undoKilled() []part {
	n := 0
	return m.killedAt("undo of a commit killed at a command", m.undone, aThird, func(x *trial, p point, v variant) func() {
		x.undone = true
		if n++; n%2 == 0 {
			return func() { x.crashed(p, v) }
		}
		return func() { x.crashedAndAlone(p, v) }
	})
}

func (x *trial) crashedAndAlone(p point, v variant) {
	if err := x.order(p, v.when, v.how); err != nil {
		x.wrong("%v", err)
		return
	}
	x.what += ", controller killed"
	release := x.enter()
	c := x.start("deploy", "lab", "--json")
	for over := false; !over && !x.met; {
		select {
		case <-c.ended:
			over = true
		case <-time.After(200 * time.Millisecond):
		}
		x.met = x.hit()
	}
	c.kill()
	<-c.ended
	release()
	x.judge(leaseAndRestart)
}

// guardKilled: the controller is gone, and the guard's recovery is killed at each command.
func (m *matrix) guardKilled() []part {
	return m.killedAt("guard killed at a command", m.undo, nil, func(x *trial, p point, v variant) func() {
		p.verb, x.window = "expire", 30
		return func() { x.guardCrashed(p, v) }
	})
}

func (x *trial) guardCrashed(p point, v variant) {
	if err := x.order(p, v.when, v.how); err != nil {
		x.wrong("%v", err)
		return
	}
	release := x.enter()
	c := x.start("deploy", "lab", "--json")
	started := x.inTrial(c)
	c.kill()
	<-c.ended
	release()
	if !started {
		x.wrong("the deploy did not come to its trial")
		return
	}
	x.judge(leaseAndRestart + 40*time.Second)
	x.met = x.hit()
}

// inTrial waits until the run says that the unit is being watched.
func (x *trial) inTrial(c *controller) bool {
	for range c.lines {
		if x.said("step.started settle") {
			return true
		}
	}
	return false
}
