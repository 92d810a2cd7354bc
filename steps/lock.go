package steps

import (
	"fmt"
	"time"

	"github.com/seatrial/seatrial/remote"
)

// Lock takes the lease of the service on the host. What a dead run left is undone first.
type Lock struct{}

// Name implements Step.
func (Lock) Name() string { return "lock" }

// Effect implements Step.
func (Lock) Effect() Effect { return Writes }

// Preview implements Step.
func (l Lock) Preview(t Transaction) []Line {
	var lines []Line
	if r := t.Facts.Record; r.Unfinished() {
		lines = append(lines, change(l, "undo what run of %s left unfinished (release %s, %s)", r.Owner, r.Release, r.State))
	}
	return append(lines, change(l, "take the lease for %s, renewed while this run lives", t.Lease))
}

// Requests implements Step.
func (l Lock) Requests(t Transaction) []remote.Request {
	args := []string{t.Token, seconds(t.Lease), seconds(t.Service.Window), seconds(max(t.Service.StartTimeout, patience)), t.Release, t.Previous, t.Owner, t.Since, t.Label, t.Plan}
	for _, f := range t.Service.Files {
		args = append(args, fmt.Sprintf("file=%s %s %s", f.Path, t.Facts.File(f.Path).Digest, f.Digest))
	}
	for _, r := range t.Service.Runs {
		args = append(args, fmt.Sprintf("run=%s %s", r.Unit, r.File))
	}
	return []remote.Request{t.request(l.Name(), "lock", args...)}
}

// Release gives the lease back where nothing was to be committed.
type Release struct{}

// Name implements Step.
func (Release) Name() string { return "release" }

// Effect implements Step.
func (Release) Effect() Effect { return Writes }

// Preview implements Step.
func (s Release) Preview(Transaction) []Line { return []Line{change(s, "give the lease back")} }

// Requests implements Step.
func (s Release) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "release", t.Token)}
}

// patience with units that are being started or stopped in a rollback, at least: systemd's own limit is 90 s.
const patience = 100 * time.Second

// Renew is not a step of a plan: the run asks for it again and again while it holds the lease.
func Renew(t Transaction) remote.Request {
	return t.request("lock", "renew", t.Token, seconds(t.Lease))
}
