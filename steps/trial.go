package steps

import (
	"cmp"
	"strings"

	"github.com/seatrial/seatrial/remote"
)

// Guard arms the dead-man's switch: a service on the host that undoes the transaction when the lease ends.
type Guard struct{}

// Name implements Step.
func (Guard) Name() string { return "guard" }

// Effect implements Step.
func (Guard) Effect() Effect { return Writes }

// Preview implements Step.
func (s Guard) Preview(t Transaction) []Line {
	return []Line{change(s, "arm the guard: without news from here for %s the host goes back by itself", t.Lease)}
}

// Requests implements Step.
func (s Guard) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "guard", t.Token, seconds(t.Lease))}
}

// Trial puts the new units where systemd prefers them and a reboot forgets them.
type Trial struct{}

// Name implements Step.
func (Trial) Name() string { return "trial" }

// Effect implements Step.
func (Trial) Effect() Effect { return Writes }

// Preview implements Step.
func (s Trial) Preview(t Transaction) []Line {
	lines := []Line{change(s, "load the new unit from /run: a reboot boots the old one")}
	for _, u := range t.UnitChanges(true) {
		for _, path := range u.DropIns {
			lines = append(lines, same(s, "drop-in %s applies to %s", path, u.Unit))
		}
	}
	return lines
}

// Requests implements Step.
func (s Trial) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "trial", t.Token)}
}

// Reload is daemon-reload, and the proof that systemd loaded the trial.
type Reload struct{}

// Name implements Step.
func (Reload) Name() string { return "reload" }

// Effect implements Step.
func (Reload) Effect() Effect { return Writes }

// Preview implements Step.
func (s Reload) Preview(Transaction) []Line {
	return []Line{change(s, "daemon-reload")}
}

// Requests implements Step.
func (s Reload) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "reload", t.Token)}
}

// Start restarts the units without waiting for them; Settle looks at what becomes of it.
type Start struct{}

// Name implements Step.
func (Start) Name() string { return "start" }

// Effect implements Step.
func (Start) Effect() Effect { return Writes }

// Preview implements Step.
func (s Start) Preview(t Transaction) []Line {
	var lines []Line
	for _, u := range t.UnitChanges(true) {
		if u.Start == "start" {
			lines = append(lines, change(s, "start %s (it does not run now)", u.Unit))
			continue
		}
		line := change(s, "restart %s (%s)", u.Unit, u.Active)
		if u.Process != "" {
			line.Detail = "main process " + u.Process
		}
		if u.Since != "" {
			line.Detail = strings.TrimPrefix(line.Detail+", since "+u.Since, ", ")
		}
		lines = append(lines, line)
	}
	return lines
}

// Requests implements Step.
func (s Start) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "start", t.Token)}
}

// Settle watches the start that we caused until it has been stable for the whole window.
type Settle struct{}

// Name implements Step.
func (Settle) Name() string { return "settle" }

// Effect implements Step.
func (Settle) Effect() Effect { return Reads }

// Preview implements Step.
func (s Settle) Preview(t Transaction) []Line {
	return []Line{same(s, "active within %s, then stable for %s", t.Service.StartTimeout, t.Service.Window)}
}

// Requests implements Step.
func (s Settle) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "settle", t.Token, seconds(t.Service.Window), seconds(t.Service.StartTimeout))}
}

// Commit is the one rename that makes the release the installed one.
type Commit struct{}

// Name implements Step.
func (Commit) Name() string { return "commit" }

// Effect implements Step.
func (Commit) Effect() Effect { return Writes }

// Preview implements Step.
func (s Commit) Preview(t Transaction) []Line {
	var put, gone []string
	for _, f := range t.FileChanges() {
		switch f.Action {
		case Create, Update:
			put = append(put, f.Path)
		case Remove:
			gone = append(gone, f.Path)
		}
	}
	var lines []Line
	if put != nil {
		lines = append(lines, change(s, "install %s by rename", strings.Join(put, ", ")))
	}
	if gone != nil {
		lines = append(lines, change(s, "remove %s", strings.Join(gone, ", ")))
	}
	if lines == nil {
		lines = append(lines, same(s, "nothing to install: the files are there"))
	}
	for _, u := range t.UnitChanges(true) {
		if u.Enable {
			lines = append(lines, change(s, "enable %s: it starts at boot", u.Unit))
		}
	}
	return lines
}

// Requests implements Step.
func (s Commit) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "commit", t.Token)}
}

// Rollback brings the host back to exactly what it was before the transaction, whatever state that is in.
type Rollback struct{ Reason string }

// Name implements Step.
func (Rollback) Name() string { return "rollback" }

// Effect implements Step.
func (Rollback) Effect() Effect { return Writes }

// Preview implements Step: where a failure leads.
func (s Rollback) Preview(t Transaction) []Line {
	var lines []Line
	release := ""
	if id := cmp.Or(t.Current, t.Previous); id != "" {
		release = ", release " + id
	}
	for _, r := range t.Service.Runs {
		old := t.Facts.File(r.File)
		u := t.Facts.Units[r.Unit]
		switch {
		case old.Digest == none && u["LoadState"] == "loaded":
			lines = append(lines, same(s, "on failure: %s from %s again", r.Unit, u["FragmentPath"]))
		case old.Digest == none:
			lines = append(lines, same(s, "on failure: stop %s and remove it (there is none now)", r.Unit))
		default:
			lines = append(lines, same(s, "on failure: back to %s %.8s (%s now)%s", r.File, old.Digest, u["ActiveState"], release))
		}
	}
	return lines
}

// Requests implements Step.
func (s Rollback) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "rollback", t.Token, s.Reason)}
}
