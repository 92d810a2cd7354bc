package plans

import (
	"context"

	"github.com/seatrial/seatrial/inventory"
)

// Resume takes up a run that died: each host is asked where it stands, and what is unfinished there is finished or undone.
// A commit that had been decided is carried out where the host still waits for it; everything else goes back. When that
// leaves the fleet divided, the rollback policy decides, as in the run itself. The order's hosts are those of the journal.
func (r *Runner) Resume(ctx context.Context, o Order, died JournalRun, journal *Journal) int {
	run := &Run{ID: died.ID, Order: o, runner: r, since: died.Started, journal: journal}
	defer run.Close()
	for _, known := range died.Lanes {
		if l := run.resumed(known); l != nil {
			run.lanes = append(run.lanes, l)
		}
	}
	run.emit(Event{Type: RunStarted, Plan: "resume", Environment: o.Environment.Name, Members: names(run.lanes)})
	run.each(run.lanes, func(l *lane) { l.resume(ctx, decided(died, l)) })
	for _, l := range run.lanes {
		l.endLease()
	}
	if o.Environment.Rollout.OnFailure == inventory.RollbackAll && run.divided() {
		run.each(run.lanes, func(l *lane) {
			if l.committed && l.result.Outcome == Deployed {
				l.rollback("another host of this run is back on the old release")
			}
		})
	}
	return run.finish(ctx, ExitOK)
}

// resumed is the lane of the run that died, under its own token.
func (r *Run) resumed(known JournalLane) *lane {
	for _, h := range r.Order.Hosts {
		for _, s := range r.Order.Services {
			if h.Name == known.Host && s.Name == known.Service {
				l := newLane(r, h, s)
				l.tx.Token, l.tx.Release = known.Token, known.Release
				return l
			}
		}
	}
	return nil
}

func decided(died JournalRun, l *lane) bool {
	for _, d := range died.Decided {
		if d.Token == l.tx.Token {
			return true
		}
	}
	return false
}

// divided: some hosts have the new release, others do not.
func (r *Run) divided() bool {
	kept, back := false, false
	for _, l := range r.lanes {
		kept = kept || l.result.Outcome == Deployed
		back = back || l.result.Outcome == RolledBack || l.result.Outcome == RollbackFailed
	}
	return kept && back
}

// resume asks the host where it stands, and settles it.
func (l *lane) resume(ctx context.Context, decided bool) {
	l.emit(Event{Type: HostStarted})
	facts, err := l.connect(ctx)
	if err != nil {
		text, hint := message(err)
		l.failure = &failure{step: "connect", text: text, hint: hint}
		l.result.Text = text + "; pending: its guard undoes by itself what is not committed, and the next run what is left"
		l.end(Unreachable)
		return
	}
	l.tx.Facts = facts
	record := facts.Record
	switch {
	case record.Token != l.tx.Token:
		l.takenOver()
	case record.State == "COMMITTED":
		l.touched, l.committed, l.result.Release = true, true, l.tx.Release
		l.end(Deployed)
	case record.State == "RELEASED": // the end of a restart
		l.end(Unchanged)
	case decided && facts.LeaseLeft() > 0:
		l.touched = true
		l.commit(l.run.Order.Plan.phase(Keep))
		switch {
		case l.failure != nil:
			l.rollback(l.failure.text)
		case l.committed: // whatever the inventory has by now
			l.end(Deployed)
		default:
			l.end(Unchanged)
		}
	case record.State == "REVERTED": // but does the old one run?
		l.touched = true
		l.failure = &failure{text: "the host had gone back by itself"}
		l.rollback(l.failure.text)
	default:
		l.touched, l.lease = true, holdLease(l)
		l.failure = &failure{text: died}
		l.rollback(died)
	}
}

// takenOver: the record is of another transaction, so what the host has is said by its files.
func (l *lane) takenOver() {
	if files, _ := installed(l.tx.Service, l.tx.Facts); hasDigest(l.tx.Release, filesDigest(files)) {
		l.result.Text, l.result.Release = "another run has been here since; the files are those of this release", l.tx.Release
		l.end(Unchanged)
		return
	}
	l.result.Text = "never begun here, or another run has been here since"
	l.end(SkippedHost)
}
