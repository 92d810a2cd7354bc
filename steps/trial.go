package steps

import (
	"fmt"
	"strings"

	"github.com/seatrial/seatrial/remote"
)

// Guard arms the dead-man's switch: a service on the host that ends the trial when the lease ends.
type Guard struct{}

// Name implements Step.
func (Guard) Name() string { return "guard" }

// Effect implements Step.
func (Guard) Effect() Effect { return Writes }

// Preview implements Step.
func (s Guard) Preview(t Transaction) []Line {
	return []Line{{s.Name(), fmt.Sprintf("arm the guard: without news from here for %s the host goes back by itself", t.Lease), true}}
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
	lines := []Line{{s.Name(), "load the new unit from /run: a reboot boots the old one", true}}
	for _, r := range t.Service.Runs {
		for _, path := range strings.Fields(t.Facts.Units[r.Unit]["DropInPaths"]) {
			lines = append(lines, Line{s.Name(), fmt.Sprintf("drop-in %s applies to %s", path, r.Unit), false})
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
	return []Line{{s.Name(), "daemon-reload", true}}
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
	for _, r := range t.Service.Runs {
		u := t.Facts.Units[r.Unit]
		switch u["ActiveState"] {
		case "active", "reloading", "activating", "deactivating":
			text := fmt.Sprintf("restart %s (%s/%s", r.Unit, u["ActiveState"], u["SubState"])
			if since := u["ActiveEnterTimestamp"]; since != "" {
				text += " since " + since
			}
			lines = append(lines, Line{s.Name(), text + ")", true})
		default:
			lines = append(lines, Line{s.Name(), fmt.Sprintf("start %s (it does not run now)", r.Unit), true})
		}
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
	return []Line{{s.Name(), fmt.Sprintf("active within %s, then stable for %s", t.Service.StartTimeout, t.Service.Window), false}}
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
	var paths []string
	for _, f := range t.Service.Files {
		if t.Facts.File(f.Path).Digest != f.Digest {
			paths = append(paths, f.Path)
		}
	}
	if len(paths) == 0 {
		return []Line{{s.Name(), "nothing to install: the files are there", false}}
	}
	lines := []Line{{s.Name(), "install " + strings.Join(paths, ", ") + " by rename", true}}
	for _, r := range t.Service.Runs {
		if t.Facts.Units[r.Unit]["UnitFileState"] == "" && installable(t.Service, r.File) {
			lines = append(lines, Line{s.Name(), "enable " + r.Unit + ": it starts at boot", true})
		}
	}
	return lines
}

func installable(s Service, path string) bool {
	for _, f := range s.Files {
		if f.Path == path {
			return strings.Contains("\n"+string(f.Content), "\n[Install]")
		}
	}
	return false
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
	for _, r := range t.Service.Runs {
		old := t.Facts.File(r.File)
		u := t.Facts.Units[r.Unit]
		switch {
		case old.Digest == none && u["LoadState"] == "loaded":
			lines = append(lines, Line{s.Name(), fmt.Sprintf("on failure: %s from %s again", r.Unit, u["FragmentPath"]), false})
		case old.Digest == none:
			lines = append(lines, Line{s.Name(), fmt.Sprintf("on failure: stop %s and remove it (there is none now)", r.Unit), false})
		default:
			lines = append(lines, Line{s.Name(), fmt.Sprintf("on failure: back to %s %.8s (%s now)", r.File, old.Digest, u["ActiveState"]), false})
		}
	}
	return lines
}

// Requests implements Step.
func (s Rollback) Requests(t Transaction) []remote.Request {
	return []remote.Request{t.request(s.Name(), "rollback", t.Token, s.Reason)}
}
