package plans

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/steps"
)

// stepsService is the inventory's service as the steps see it: what a host gets.
func stepsService(s *inventory.Service) steps.Service {
	out := steps.Service{Name: s.Name, StartTimeout: s.StartTimeout, Window: s.Settle.Window, RefuseDrift: s.RefuseDrift, Checks: stepsChecks(s.Checks)}
	for _, u := range s.Units {
		path := steps.UnitDirectory + "/" + u.Name
		out.Files = append(out.Files, steps.File{Path: path, Content: u.Content, Digest: u.Digest})
		for _, name := range u.Names() {
			out.Runs = append(out.Runs, steps.Run{Unit: name, File: path})
		}
	}
	if l := s.Logs; l != nil {
		out.Log = &steps.Directory{Path: l.Directory, Owner: l.Owner, Group: l.Group, Mode: l.Mode}
		if l.Logrotate != nil {
			out.Files = append(out.Files, steps.File{Path: l.Logrotate.Target, Content: l.Logrotate.Content, Digest: l.Logrotate.Digest})
		}
	}
	out.Verify = steps.Verification{Listen: s.Verify.Listen, Timeout: s.Verify.Timeout}
	for _, h := range s.Verify.HTTP {
		out.Verify.HTTP = append(out.Verify.HTTP, steps.HTTP{URL: h.URL, Status: h.Status, Contains: h.Contains})
	}
	return out
}

func stepsChecks(checks []inventory.Check) []steps.Check {
	var out []steps.Check
	for _, c := range checks {
		check := steps.Check{Name: c.Name, Warning: c.Severity == inventory.SeverityWarning, User: c.User,
			WorkingDirectory: c.WorkingDirectory, Timeout: c.Timeout}
		switch {
		case c.Directory != "":
			check.Kind, check.Words = "directory", []string{c.Directory}
		case c.File != "":
			check.Kind, check.Words = "file", []string{c.File}
		case c.Executable != "":
			check.Kind, check.Words = "executable", []string{c.Executable}
		default:
			check.Kind, check.Words = "command", c.Command
		}
		for _, v := range c.Environment {
			check.Environment = append(check.Environment, v.Name+"="+v.Value)
		}
		out = append(out, check)
	}
	return out
}

// A release id sorts by time and carries the digest of its files.
const idTime = "20060102T150405Z"

func releaseID(at time.Time, files []steps.File) string {
	return fmt.Sprintf("%s-%s", at.UTC().Format(idTime), filesDigest(files))
}

// filesDigest is over paths and digests, in order of path: 8 hex digits. What is absent does not count.
func filesDigest(files []steps.File) string {
	var lines []string
	for _, f := range files {
		if f.Digest != absent {
			lines = append(lines, f.Path+" "+f.Digest+"\n")
		}
	}
	sort.Strings(lines)
	sum := sha256.New()
	for _, l := range lines {
		sum.Write([]byte(l))
	}
	return hex.EncodeToString(sum.Sum(nil))[:8]
}

// absent is the digest of a file that is not there.
const absent = "none"

// installed are the files of a service as the host has them now. found is false when it has none of them.
func installed(s steps.Service, f steps.Facts) (files []steps.File, found bool) {
	for _, want := range s.Files {
		have := f.File(want.Path)
		files = append(files, steps.File{Path: want.Path, Digest: have.Digest, Content: have.Content})
		found = found || have.Digest != absent
	}
	return files, found
}

// history answers questions about the releases that a host remembers.
type history []steps.Past

// current is the newest release that the files on the host are; zero when they are none that the host knows.
func (h history) current(files []steps.File) steps.Past {
	for _, p := range slices.Backward(h) {
		if p.Outcome != steps.RolledBack && p.Matches(files) {
			return p
		}
	}
	return steps.Past{}
}

// last is what was left on the host by whoever committed last; zero when nobody did.
func (h history) last() steps.Past { return h.before("") }

// before is the last good release older than the given one; with an id that is not in it, the last good one of all.
// A release that was rolled back later on is no longer good.
func (h history) before(id string) steps.Past {
	bad := map[string]bool{}
	for _, p := range h {
		bad[p.ID] = p.Outcome == steps.RolledBack
	}
	var best steps.Past
	for _, p := range h {
		if p.ID == id {
			break
		}
		if !bad[p.ID] {
			best = p
		}
	}
	return best
}

// named are the releases of that id or, unless they failed, of that label; newest first.
func (h history) named(name string) []steps.Past {
	var all []steps.Past
	for _, p := range slices.Backward(h) {
		known := slices.ContainsFunc(all, func(q steps.Past) bool { return q.ID == p.ID })
		if !known && (p.ID == name || p.Label == name && p.Outcome != steps.RolledBack) {
			all = append(all, p)
		}
	}
	return all
}

// hint names the newest releases.
func (h history) hint() string {
	var ids []string
	for i := len(h) - 1; i >= 0 && len(ids) < 5; i-- {
		if !slices.Contains(ids, h[i].ID) && h[i].Outcome != steps.RolledBack {
			ids = append(ids, h[i].ID)
		}
	}
	if ids == nil {
		return "seatrial has committed nothing on this host yet"
	}
	return "the host keeps " + strings.Join(ids, ", ")
}

func hasDigest(id, digest string) bool {
	return len(id) > len(digest) && id[len(id)-len(digest)-1:] == "-"+digest
}
