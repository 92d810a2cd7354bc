package plans

import (
	"context"
	"time"

	"github.com/seatrial/seatrial/inventory"
)

// split puts the lanes into waves of hosts: the canary first and alone, then the cumulative shares of all hosts.
func split(lanes []*lane, rollout inventory.Rollout) [][]*lane {
	var hosts []*inventory.Host
	byHost := map[*inventory.Host][]*lane{}
	for _, l := range lanes {
		if byHost[l.host] == nil {
			hosts = append(hosts, l.host)
		}
		byHost[l.host] = append(byHost[l.host], l)
	}
	hosts, canaries := canaryFirst(hosts, rollout.Canary)
	ends := []int{canaries}
	for _, share := range rollout.Waves {
		ends = append(ends, share.Of(len(hosts)))
	}
	var waves [][]*lane
	done := 0
	for _, end := range append(ends, len(hosts)) {
		var wave []*lane
		for ; done < min(end, len(hosts)); done++ {
			wave = append(wave, byHost[hosts[done]]...)
		}
		if wave != nil {
			waves = append(waves, wave)
		}
	}
	return waves
}

// canaryFirst orders hosts, canaries in front, and counts them.
func canaryFirst(hosts []*inventory.Host, c inventory.Canary) ([]*inventory.Host, int) {
	if c.Tag == "" {
		return hosts, min(c.Count, len(hosts))
	}
	var first, rest []*inventory.Host
	for _, h := range hosts {
		if hasTag(h, c.Tag) {
			first = append(first, h)
		} else {
			rest = append(rest, h)
		}
	}
	return append(first, rest...), len(first)
}

func hasTag(h *inventory.Host, tag string) bool {
	for _, t := range h.Tags {
		if t == tag {
			return true
		}
	}
	return false
}

// waves tries and commits wave by wave. A failure beyond max_failed ends the run by the rollback policy.
func (r *Run) waves(ctx context.Context, lanes []*lane) int {
	rollout := r.Order.Environment.Rollout
	try := r.Order.Plan.phase(Try)
	keep := r.Order.Plan.phase(Keep)
	waves := split(lanes, rollout)
	budget := 0
	if rollout.MaxFailed.Count > 0 || rollout.MaxFailed.Percent > 0 {
		budget = rollout.MaxFailed.Of(len(lanes))
	}
	for i, wave := range waves {
		r.emit(Event{Type: WaveStarted, Wave: i + 1, Members: names(wave)})
		r.each(wave, func(l *lane) { l.phase(ctx, try) })
		stop := ctx.Err() != nil || r.failures(lanes) > budget
		if !stop {
			r.commit(wave, keep)
			stop = r.failures(lanes) > budget
		}
		if stop {
			r.stop(ctx, lanes, wave, keep)
			r.emit(Event{Type: WaveFinished, Wave: i + 1, Members: names(wave), Status: Failed})
			return ExitOK
		}
		r.emit(Event{Type: WaveFinished, Wave: i + 1, Members: names(wave), Status: OK})
		if i+1 < len(waves) && !sleep(ctx, rollout.Pause) {
			r.stop(ctx, lanes, nil, keep)
			return ExitOK
		}
	}
	return ExitOK
}

// commit keeps what has verified and sends back what has not. Commits are never cancelled half way.
func (r *Run) commit(wave []*lane, keep Phase) {
	r.decide(wave)
	r.each(wave, func(l *lane) {
		if l.failure == nil && l.result.Outcome == "" {
			l.commit(keep)
		}
		if l.failure != nil {
			l.rollback(l.failure.text)
		}
	})
}

// decide puts the decision to commit on this machine's disk. Without it nothing is committed.
func (r *Run) decide(wave []*lane) {
	var ready []*lane
	for _, l := range wave {
		if l.failure == nil && l.result.Outcome == "" {
			ready = append(ready, l)
		}
	}
	if len(ready) == 0 {
		return
	}
	r.mu.Lock()
	err := r.journal.decide(journalLanes(ready))
	r.mu.Unlock()
	if err != nil {
		for _, l := range ready {
			l.failure = &failure{step: "commit", text: err.Error(), hint: "the decision could not be written down on this machine"}
		}
	}
}

// stop ends the run after a failure, by policy. Hosts that were not begun keep what they have.
func (r *Run) stop(ctx context.Context, lanes, wave []*lane, keep Phase) {
	policy := r.Order.Environment.Rollout.OnFailure
	if ctx.Err() != nil {
		policy = inventory.RollbackAll
	}
	why := r.why(lanes)
	switch policy {
	case inventory.RollbackFailed:
		r.commit(wave, keep)
	case inventory.Halt:
		r.each(wave, func(l *lane) {
			if !l.committed {
				l.rollback(why)
			}
		})
	default:
		r.each(lanes, func(l *lane) {
			if l.touched {
				l.rollback(why)
			}
			if l.committed { // its commit was under way, and came first
				l.rollback(why)
			}
		})
	}
	var rest []*lane
	for _, l := range lanes {
		if !l.touched && l.result.Outcome == "" {
			rest = append(rest, l)
		}
	}
	r.each(rest, func(l *lane) { l.rollback(why) }) // gives the lease back
	r.skipRest(rest, "not begun: "+why)
}

// why is the first failure, in one line for the other hosts.
func (r *Run) why(lanes []*lane) string {
	if l := r.failedStep(lanes); l != nil {
		return l.host.Name + " failed at " + l.failure.step
	}
	return "the run was interrupted"
}

// failedStep is the first lane that failed by itself; nil: none.
func (r *Run) failedStep(lanes []*lane) *lane {
	for _, l := range lanes {
		if l.failure != nil && l.failure.step != "" {
			return l
		}
	}
	return nil
}

func names(lanes []*lane) []string {
	var all []string
	for _, l := range lanes {
		if len(all) == 0 || all[len(all)-1] != l.host.Name {
			all = append(all, l.host.Name)
		}
	}
	return all
}

// sleep reports whether the whole pause passed.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
