package sshtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// clock is the host's time. Nothing waits in reality: whoever sleeps in an SSH session, and Advance, move the
// clock; on the way, what is due happens in order. A background process (one that PID 1 runs) never moves the
// clock: it parks until the clock has passed its sleep, and whoever moves the clock waits until the process that it
// woke parks again or ends. So a run is the same each time.
type clock struct {
	host    *Host
	turn    sync.Mutex // held by the one who moves the clock
	up      time.Duration
	booted  time.Time // wall clock at boot
	events  []*event
	parked  []*parking
	seq     int
	stamps  time.Duration // makes the times of any two changes of files differ, as they do on a real host
	moved   time.Duration // how long SSH sessions have slept: carries fractions of a second for deadlines
	changed chan struct{} // closed and replaced when something happened that a session may wait for
}

// event is something that will happen to the host at a time of its uptime.
type event struct {
	at  time.Duration
	seq int
	do  func()
}

// parking is a background process at rest.
type parking struct {
	until  time.Duration
	ready  func() bool // nil: only the time counts
	wake   chan struct{}
	asleep chan struct{} // told when the process rests again or has ended
}

// forever is a time that no host reaches.
const forever = time.Duration(1<<63 - 1)

func newClock(h *Host, booted time.Time) *clock {
	return &clock{host: h, booted: booted, changed: make(chan struct{}), up: time.Hour}
}

func (c *clock) wall() time.Time { return c.booted.Add(c.up) }

// stamp is the time of a change to a file.
func (c *clock) stamp() time.Time {
	c.stamps++
	return c.wall().Add(c.stamps)
}

// after schedules do; the host's mutex is held here and when do runs.
func (c *clock) after(d time.Duration, do func()) *event {
	c.seq++
	e := &event{at: c.up + d, seq: c.seq, do: do}
	c.events = append(c.events, e)
	slices.SortStableFunc(c.events, func(a, b *event) int {
		if a.at != b.at {
			return int(min(1, max(-1, a.at-b.at)))
		}
		return a.seq - b.seq
	})
	return e
}

func (c *clock) cancel(e *event) {
	c.events = slices.DeleteFunc(c.events, func(x *event) bool { return x == e })
}

// notify wakes the sessions that wait in reality for another session.
func (c *clock) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// move lets time pass until the given uptime, or until done holds; session says that a deadline moves along.
func (c *clock) move(ctx context.Context, until time.Duration, session bool, done func() bool) {
	c.turn.Lock()
	defer c.turn.Unlock()
	for ctx.Err() == nil {
		c.settle(ctx)
		c.host.mu.Lock()
		if done != nil && done() {
			c.host.mu.Unlock()
			return
		}
		next := min(c.next(), until)
		if c.up >= until || next == forever {
			c.host.mu.Unlock()
			return
		}
		c.pass(next, session)
		c.host.mu.Unlock()
	}
}

// next is when the next thing happens by itself.
func (c *clock) next() time.Duration {
	next := forever
	if len(c.events) > 0 {
		next = c.events[0].at
	}
	for _, p := range c.parked {
		next = min(next, p.until)
	}
	return next
}

// pass moves the clock to `to` and fires what is due then.
func (c *clock) pass(to time.Duration, session bool) {
	to = max(to, c.up)
	if session {
		before := c.moved
		c.moved += to - c.up
		c.host.moveDeadlines(int(c.moved/time.Second) - int(before/time.Second))
	}
	c.up = to
	for len(c.events) > 0 && c.events[0].at <= c.up {
		e := c.events[0]
		c.events = c.events[1:]
		e.do()
	}
	c.notify()
}

// settle runs the background processes that are ready, one by one, until all of them rest.
func (c *clock) settle(ctx context.Context) {
	for ctx.Err() == nil {
		c.host.mu.Lock()
		i := slices.IndexFunc(c.parked, func(p *parking) bool {
			return p.until <= c.up || p.ready != nil && p.ready()
		})
		if i < 0 {
			c.host.mu.Unlock()
			return
		}
		p := c.parked[i]
		c.parked = slices.Delete(c.parked, i, i+1)
		c.host.mu.Unlock()
		close(p.wake)
		<-p.asleep
	}
}

// kick runs background processes that something just made ready. A background process must not call it.
func (c *clock) kick(ctx context.Context) {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.settle(ctx)
}

// wait lets the process p wait until done holds (nil: never) or the uptime is reached.
// The error is not nil when the process was ended meanwhile.
func (c *clock) wait(ctx context.Context, p *process, until time.Duration, done func() bool) error {
	limit := until
	if p.limit > 0 {
		limit = min(limit, p.limit)
	}
	if p.unit == "" {
		c.move(ctx, limit, true, done)
	} else if err := c.park(ctx, p, limit, done); err != nil {
		return err
	}
	c.host.mu.Lock()
	defer c.host.mu.Unlock()
	held := done != nil && done()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !held && p.limit > 0 && c.up >= p.limit && p.limit < until:
		return errExpired
	}
	return nil
}

// park puts a background process to rest.
func (c *clock) park(ctx context.Context, p *process, until time.Duration, ready func() bool) error {
	c.host.mu.Lock()
	rest := &parking{until: until, ready: ready, wake: make(chan struct{}), asleep: make(chan struct{})}
	c.parked = append(c.parked, rest)
	before := p.top.rest
	p.top.rest = rest
	c.host.mu.Unlock()
	if before != nil {
		close(before.asleep)
	}
	select {
	case <-rest.wake:
		return nil
	case <-ctx.Done():
		c.host.mu.Lock()
		defer c.host.mu.Unlock()
		c.parked = slices.DeleteFunc(c.parked, func(x *parking) bool { return x == rest })
		return context.Cause(ctx)
	}
}

// errExpired unwinds a process whose `timeout` ran out.
var errExpired = errors.New("the time of the command is over")

// Advance lets d of the host's time pass with nobody connected: guards run, services crash and restart. The
// deadline of a lease does not move along: this is how a controller that died is played.
func (h *Host) Advance(d time.Duration) {
	h.mu.Lock()
	until := h.clock.up + d
	h.mu.Unlock()
	h.clock.move(h.ctx, until, false, nil)
	h.clock.kick(h.ctx)
}

// Uptime is how long the host has been up, on its own clock.
func (h *Host) Uptime() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock.up
}
