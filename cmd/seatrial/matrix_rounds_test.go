package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/seatrial/seatrial/cmd/internal/lab"
	"github.com/seatrial/seatrial/plans"
)

// A round is one fault of a whole host. Several services meet it at once, each at a place of its own in its deploy.
type round struct {
	host   *lab.Host
	class  string
	strike func() error
	mend   func() error
	lasts  time.Duration // until it is mended; 0: until every service is whole without help
	want   string        // the outcome where the controller lives and is not late for its lease; empty: whatever is true
	meets  []*meeting
}

// A meeting is a service and where it is when the fault comes.
type meeting struct {
	*trial
	at     point
	when   when
	killed bool // its controller dies with the fault
}

type when string

const (
	begins when = "begins" // the deploy begins under the fault
	before when = "before" // its script waits before a command
	after  when = "after"  // or after it
	ended  when = "ended"  // the deploy is over
)

// meet adds a meeting to the round.
func (r *round) meet(m *matrix, k kind, at point, w when) *meeting {
	g := &meeting{trial: m.trial(r.host, r.class, k), at: at, when: w}
	r.meets = append(r.meets, g)
	return g
}

func nothing() error { return nil }

// play plays the rounds of one host one after the other.
func (m *matrix) play(rounds []*round) {
	shuffle(rounds)
	for _, r := range rounds {
		if m.tries(r.host, r.class) {
			r.play(m)
			m.t.Logf("%s: %s, %d services", r.host.Name, r.class, len(r.meets))
		}
	}
}

func (r *round) play(m *matrix) {
	var all, ready, whole sync.WaitGroup
	struck, mended := make(chan struct{}), make(chan struct{})
	_ = m.enter(len(r.meets))
	for _, g := range r.meets {
		ready.Add(1)
		whole.Add(1)
		all.Go(func() {
			defer g.done()
			c := g.begin()
			ready.Done()
			<-struck
			if g.when != begins {
				m.gate.Release(1) // most of the work is done
			}
			report := g.goOn(c, r)
			if g.when == begins {
				m.gate.Release(1)
			}
			if r.lasts == 0 {
				g.alone()
			}
			whole.Done()
			<-mended
			g.judge(leaseAndRestart, report)
		})
	}
	ready.Wait()
	r.does(r.strike)
	close(struck)
	if r.lasts > 0 {
		time.Sleep(r.lasts)
	} else {
		whole.Wait()
	}
	r.does(r.mend)
	close(mended)
	all.Wait()
}

// does strikes or mends; without it there was no fault.
func (r *round) does(what func() error) {
	if err := what(); err != nil {
		for _, g := range r.meets {
			g.wrong("%v", err)
		}
	}
}

// begin brings the service to its place.
func (g *meeting) begin() *controller {
	g.what = fmt.Sprintf("%s %s %d (%s)", g.when, g.at.verb, g.at.n, g.at.command)
	if g.killed {
		g.what += ", controller killed"
	}
	if err := g.prepare(); err != nil {
		g.wrong("%v", err)
		return nil
	}
	switch g.when {
	case begins:
		g.met = true
		return nil
	case ended:
		g.met = true
		return g.start("deploy", "lab", "--json").wait(5 * time.Minute)
	}
	return g.park(g.at, g.when)
}

// park starts a deploy, and returns when its script waits at a command, or is over without having come there.
func (x *trial) park(at point, w when) *controller {
	what := x.what
	if err := x.order(at, string(w), "park"); err != nil {
		x.wrong("%v", err)
	}
	if what != "" {
		x.what = what
	}
	c := x.start("deploy", "lab", "--json")
	for !x.met {
		select {
		case <-c.ended:
			x.met = x.hit()
			return c
		case <-time.After(300 * time.Millisecond):
			x.met = x.hit()
		}
	}
	return c
}

// free lets a script that waits go on.
func (x *trial) free() {
	if err := x.host.Put("/run/crash/"+x.service+".go", "", 0o600); err != nil {
		x.note("not freed: %v", err)
	}
}

// goOn does what is left of the deploy once the fault is there, and returns the report.
func (g *meeting) goOn(c *controller, r *round) string {
	if c == nil {
		c = g.start("deploy", "lab", "--json")
		g.met = !g.killed || g.inTrial(c)
	}
	if g.killed {
		c.kill()
	}
	g.free()
	report := c.wait(7 * time.Minute).outcome()
	if g.met && !g.killed && r.want != "" && report != r.want && time.Since(c.began) < plans.DefaultLease {
		g.wrong("the report says %q, want %q", report, r.want)
	}
	return report
}

// alone waits until the host is whole without help from anybody. What was only prepared, nothing sees but the next run.
func (x *trial) alone() {
	for end := time.Now().Add(leaseAndRestart); ; time.Sleep(2 * time.Second) {
		x.sleepOut()
		l := x.look()
		if len(l.hard) == 0 && (len(l.left) == 0 || x.atRest(l)) {
			return
		}
		if time.Now().After(end) {
			x.wrong("left to itself the host has %q, %q (record: %s)", l.hard, l.left, l.state)
			return
		}
	}
}
