package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatrial/seatrial/cmd/internal/lab"
)

// The network of the host is cut while the services are at their places in the deploy.
func (m *matrix) networkCut(h *lab.Host) []*round {
	rounds := m.perPlaces(h, "network cut for good", m.places(h, 1, 24))
	for _, r := range rounds {
		r.strike, r.mend = h.CutNetwork, h.RestoreNetwork
		for _, g := range r.meets {
			g.cut = true
		}
	}
	for _, r := range m.perPlaces(h, "network cut for 5 s", m.places(h, 1, 6)) {
		r.strike, r.mend, r.lasts, r.want = h.CutNetwork, h.RestoreNetwork, 5*time.Second, "deployed"
		rounds = append(rounds, r)
	}
	return rounds
}

// The host goes down and comes up again, in good order or not. Every other controller is gone, too.
func (m *matrix) rebooted(h *lab.Host) []*round {
	ways := []struct {
		class string
		do    func() error
	}{
		{"power lost", func() error { return errors.Join(h.PowerOff(), h.Boot()) }},
		{"host rebooted", h.Reboot},
		{"host soft-rebooted", h.SoftReboot}, // since 254
	}
	if suite(h) != "trixie" {
		ways = ways[:2]
	}
	var rounds []*round
	for _, way := range ways {
		places := m.places(h, 1, 8)
		if m.full || way.class == "power lost" {
			places = append(places, place{several, point{}, ended})
			places = append(places, m.aroundTheRename(h)...)
		}
		for _, r := range m.perPlaces(h, way.class, places) {
			r.strike, r.mend = way.do, script(h, preload) // it was in /run
			for i, g := range r.meets {
				g.boots, g.killed = true, i%2 == 0
			}
			rounds = append(rounds, r)
		}
	}
	return rounds
}

// Somebody else restarts sshd, ends its sessions, or keeps systemd busy.
func (m *matrix) disturbed(h *lab.Host) []*round {
	var rounds []*round
	for _, r := range m.perPlaces(h, "sshd restarted", m.places(h, 1, 3)) {
		r.strike, r.lasts, r.want = script(h, "systemctl restart ssh.service"), time.Second, "deployed"
		rounds = append(rounds, r)
	}
	for _, r := range m.perPlaces(h, "ssh sessions killed", m.places(h, 1, 8)) {
		r.strike, r.lasts = script(h, "pgrep -f '^sshd(-session)?: deploy' | xargs -r kill -9"), time.Second
		rounds = append(rounds, r)
	}
	for k := range kinds {
		if m.meets(h, k) {
			rounds = append(rounds, m.storm(h, "daemon-reload", k, m.turn(h)), m.storm(h, "daemon-reexec", k, m.turn(h)+1))
		}
	}
	return rounds
}

// storm: somebody reloads systemd again and again while a good release, a bad one, and one whose controller dies, are tried
// (in the sample: one of them). systemd that executes itself anew answers nobody, so it gets some rest in between.
func (m *matrix) storm(h *lab.Host, command string, k kind, only int) *round {
	r := &round{host: h, class: command + " storm", mend: script(h, endStorm)}
	rest := map[string]string{"daemon-reload": "1", "daemon-reexec": "2"}[command]
	r.strike = script(h, beginStorm, command, rest)
	for i, is := range []func(*meeting){
		func(*meeting) {},
		func(g *meeting) { g.bad = true },
		func(g *meeting) { g.killed, g.window = true, 30 },
	} {
		if m.full || i == only%3 {
			is(r.meet(m, k, point{}, begins))
		}
	}
	return r
}

const beginStorm = `touch /run/storm
systemd-run --quiet --collect --unit=storm sh -c 'while [ -e /run/storm ]; do /usr/bin/systemctl $1 && echo >>/run/storm.count; sleep $2; done' storm "$1" "$2"`

// endStorm ends it, once it was one.
const endStorm = `for wait in $(seq 300); do [ "$(wc -l </run/storm.count)" -lt 4 ] || break; sleep 0.2; done
rm /run/storm
while [ "$(pgrep -fc '[s]torm daemon-re')" != 0 ]; do sleep 0.2; done
[ "$(wc -l </run/storm.count)" -ge 4 ] && rm /run/storm.count`

// The wall clock of the host jumps by a day. Every other controller dies in that moment (in the sample: on one of the two
// occasions).
func (m *matrix) clockSet(h *lab.Host) []*round {
	var rounds []*round
	for _, days := range []int{-1, 1} {
		class := map[int]string{-1: "clock set back by a day", 1: "clock set forward by a day"}[days]
		for _, r := range m.perPlaces(h, class, m.places(h, 1, 6)) {
			r.strike, r.mend, r.want = setClock(h, days), setClock(h, 0), "deployed"
			for i, g := range r.meets {
				g.killed = i%2 == 0 && (m.full || (days > 0) == (m.turn(h) == 1))
			}
			rounds = append(rounds, r)
		}
	}
	return rounds
}

func script(h *lab.Host, text string, args ...string) func() error {
	return func() error { _, err := h.Sh(text, args...); return err }
}

// preload gives the host a wall clock of its own.
const preload = `printf '\000' >/run/clock-days
echo /usr/local/lib/clock.so >/etc/ld.so.preload
systemctl daemon-reexec
systemctl restart systemd-journald.service ssh.service`

// setClock sets the host's clock, and proves that its programs and its systemd see it.
func setClock(h *lab.Host, days int) func() error {
	return func() error {
		out, err := h.Sh(`printf "\\$1" 1<>/run/clock-days
systemd-run --quiet -p RemainAfterExit=yes --unit=what-time-is-it true
date +%s
date +%s -d "$(systemctl show --value -p InactiveExitTimestamp what-time-is-it.service)"
systemctl stop what-time-is-it.service`, fmt.Sprintf("%03o", byte(days)))
		want := time.Now().AddDate(0, 0, days).Unix()
		for _, line := range strings.Fields(out) {
			if at, e := strconv.ParseInt(line, 10, 64); e != nil || at < want-600 || at > want+600 {
				err = errors.Join(err, fmt.Errorf("the clock of %s is at %q, want %d", h.Name, line, want))
			}
		}
		return err
	}
}

// place is somewhere in a good deploy of a kind.
type place struct {
	kind kind
	at   point
	when when
}

// perPlaces makes rounds in which services meet a fault at these places, not too many at once.
func (m *matrix) perPlaces(h *lab.Host, class string, places []place) []*round {
	var rounds []*round
	for some := range slices.Chunk(places, runsAtOnce/2) {
		r := &round{host: h, class: class, strike: nothing, mend: nothing}
		for _, p := range some {
			r.meet(m, p.kind, p.at, p.when)
		}
		rounds = append(rounds, r)
	}
	return rounds
}

// places are a sample of the commands of a deploy, of one kind after the other, before and after in turn: so many in the
// full matrix or else so few, others on each suite.
func (m *matrix) places(h *lab.Host, few, many int) []place {
	var all []place
	var lists [kinds][]point
	longest := 0
	for k := range kinds {
		lists[k] = serving(m.good[key(h, k)])
		longest = max(longest, len(lists[k]))
	}
	for j := range longest {
		k := kind(j) % kinds
		if !m.full {
			k = kind(m.turn(h))
		}
		if j < len(lists[k]) {
			all = append(all, place{k, lists[k][j], []when{before, after}[j%2]})
		}
	}
	if m.full {
		few = many
	}
	return spread(all, few, m.turn(h))
}

// serving are the commands that belong to a verb. Settle and verify hold no lock and have no shell of their own: theirs are
// the helper's after the start.
func serving(points []point) []point {
	started := false
	return slices.DeleteFunc(slices.Clone(points), func(p point) bool {
		started = started || p.verb == "start"
		return p.verb == "guarding" || p.verb == "renew" || p.verb == "helper" && (!started || !strings.HasPrefix(p.command, "systemctl show"))
	})
}

func (m *matrix) turn(h *lab.Host) int {
	for i, s := range suites {
		if s.suite == suite(h) {
			return i
		}
	}
	return 0
}

// aroundTheRename are the places right before and right after each file becomes the new one, of one kind if few will do.
func (m *matrix) aroundTheRename(h *lab.Host) []place {
	var around []place
	for k := range kinds {
		for _, p := range m.good[key(h, k)] {
			if m.meets(h, k) && p.verb == "commit" && strings.HasPrefix(p.command, "mv -fT /etc/") {
				around = append(around, place{k, p, before}, place{k, p, after})
			}
		}
	}
	return around
}
