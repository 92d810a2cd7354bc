package main

import (
	"fmt"
	"time"
)

// guardDies: kill -9 of the guard while the unit is being watched. It comes back, each time, and does its work when the
// controller dies, too.
func (m *matrix) guardDies() []part {
	var parts []part
	for _, h := range m.single {
		for k := range kinds {
			for _, killed := range []bool{false, true} {
				if !m.meets(h, k) {
					continue
				}
				x := m.trial(h, "guard killed", k)
				x.window = 20
				times := 1
				if killed {
					x.class, x.window, times = "guard killed, then the controller", 60, 3
				}
				parts = append(parts, part{x, func() { x.unguarded(killed, times) }})
			}
		}
	}
	return parts
}

// killGuard kills the guard so many times, and waits each time until another one is there.
const killGuard = `
guard=$(systemctl list-units --no-legend --plain 'seatrial-guard-*' | grep -F " seatrial guard of $1" | cut -d ' ' -f 1)
pid() { systemctl show --value -p MainPID "$guard"; }
for n in $(seq "$2"); do
	old=$(pid)
	kill -9 "$old" || exit 1
	for wait in 1 2 3 4 5 6 7 8 9 10; do
		new=$(pid)
		[ "$new" = 0 ] || [ "$new" = "$old" ] || break
		sleep 1
	done
	[ "$new" != 0 ] && [ "$new" != "$old" ] || { echo "the guard does not come back" >&2 && exit 1; }
done`

func (x *trial) unguarded(killed bool, times int) {
	release := x.enter()
	c := x.start("deploy", "lab", "--json")
	x.met = x.inTrial(c)
	if _, err := x.host.Sh(killGuard, x.service, fmt.Sprint(times)); err != nil {
		x.wrong("%v", err)
	}
	if killed {
		c.kill()
	}
	report := c.wait(5 * time.Minute).outcome()
	release()
	if !killed && report != "deployed" {
		x.wrong("the report says %q", report)
	}
	x.judge(leaseAndRestart, report)
}

// othersAtWork: somebody else stops or restarts the unit in the trial, from its beginning until the commit. (A unit that is stopped after that is stopped: nobody can tell it from one stopped after the commit.)
func (m *matrix) othersAtWork() []part {
	var parts []part
	for i, h := range m.single {
		for k := range kinds {
			if !m.meets(h, k) {
				continue
			}
			for j, p := range pick(m, i, 1, undecided(m.good[key(h, k)])) {
				if m.full && j%int(kinds) != int(k) {
					continue
				}
				for _, verb := range []string{"stop", "restart"} {
					x := m.trial(h, "unit "+verb+" by somebody else", k)
					parts = append(parts, part{x, func() { x.meddled(p, []when{before, after}[j%2], verb) }})
				}
			}
		}
	}
	return parts
}

// undecided are the commands from the trial on, until the commit is decided.
func undecided(points []point) []point {
	var some []point
	for _, p := range serving(points) {
		switch p.verb {
		case "trial", "reload", "start", "helper":
			some = append(some, p)
		}
	}
	return some
}

func (x *trial) meddled(at point, w when, verb string) {
	release := x.enter()
	x.what = fmt.Sprintf("%s %s %d (%s)", w, at.verb, at.n, at.command)
	c := x.park(at, w)
	if _, err := x.host.Sh(`systemctl "$1" "$2.service"`, verb, x.service); err != nil {
		x.note("%v", err)
	}
	x.free()
	report := c.wait(5 * time.Minute).outcome()
	release()
	x.judge(leaseAndRestart, report)
}
