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

// scriptKilled: the host's script is killed at each command that it gives on its way to the commit; the controller lives.
// Before or after the command, with or without the helper above it.
func (m *matrix) scriptKilled() []part {
	var parts []part
	for i, h := range m.single {
		for k := range kinds {
			if !m.meets(h, k) {
				continue
			}
			for j, p := range pick(m, i, 1, m.good[key(h, k)]) {
				if k != update && m.full && j%3 != int(k) {
					continue
				}
				for _, v := range m.variants(i + j) {
					x := m.trial(h, "script killed at a command", k)
					parts = append(parts, part{x, func() { x.crashed(p, v) }})
				}
			}
		}
	}
	return parts
}

type variant struct{ when, how string }

// variants are all of them in the full matrix, and otherwise one.
func (m *matrix) variants(n int) []variant {
	all := []variant{{"before", "shells"}, {"after", "all"}, {"after", "shells"}, {"before", "all"}}
	if m.full {
		return []variant{all[n%2*2], all[n%2*2+1]}
	}
	return all[n%4:][:1]
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
	var parts []part
	for i, h := range m.single {
		for k := range kinds {
			if !m.meets(h, k) {
				continue
			}
			for j, p := range pick(m, i, 1, m.undo[key(h, k)]) {
				for _, v := range m.variants(i + j) {
					x := m.trial(h, "rollback killed at a command", k)
					x.bad = true
					parts = append(parts, part{x, func() { x.crashed(p, v) }})
				}
			}
		}
	}
	return parts
}

// guardKilled: the controller is gone, and the guard's recovery is killed at each command.
func (m *matrix) guardKilled() []part {
	var parts []part
	for i, h := range m.single {
		for k := range kinds {
			if !m.meets(h, k) {
				continue
			}
			for j, p := range pick(m, i, 1, m.undo[key(h, k)]) {
				for _, v := range m.variants(i + j) {
					x := m.trial(h, "guard killed at a command", k)
					p.verb, x.window = "expire", 30
					parts = append(parts, part{x, func() { x.guardCrashed(p, v) }})
				}
			}
		}
	}
	return parts
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
