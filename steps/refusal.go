package steps

import (
	"fmt"
	"strings"
	"time"
)

// OldestSystemd that seatrial works with: properties and unit search path are as it needs them since 239.
const OldestSystemd = 239

// A Refusal is a reason why this host cannot be deployed to, found before anything is changed.
type Refusal struct {
	Text   string
	Hint   string
	Locked bool // another run holds the lease, or a person
}

// Refusals reads the facts for whatever stands in the way. Pure: plan and deploy give the same answer.
func (t Transaction) Refusals() []Refusal {
	var all []Refusal
	add := func(hint, format string, args ...any) {
		all = append(all, Refusal{Text: fmt.Sprintf(format, args...), Hint: hint})
	}
	t.refuseHost(add)
	if len(all) > 0 {
		return all // the rest would only be consequences
	}
	if m := t.Facts.Maintenance; m.Owner != "" {
		return []Refusal{{Locked: true, Hint: "seatrial unlock, when the maintenance is over",
			Text: fmt.Sprintf("held for maintenance by %s, since %s: %s", m.Owner, m.Since, m.Message)}}
	}
	if left := t.Facts.LeaseLeft(); left > 0 && t.Facts.Record.Token != t.Token {
		r := t.Facts.Record
		all = append(all, Refusal{Locked: true,
			Text: fmt.Sprintf("locked by %s, since %s, for release %s (%s)", r.Owner, r.Since, r.Release, r.State),
			Hint: fmt.Sprintf("wait for that run; if it is dead its lease ends by itself in %s", left.Round(time.Second))})
		return all
	}
	if t.Service.RefuseDrift {
		for _, d := range t.Drift() {
			add("seatrial plan shows the difference; keep it in the release, or put it right on the host", "drift, and refuse_drift is set: %s", d.Text)
		}
	}
	t.refuseUnits(add)
	t.refuseSpace(add)
	return all
}

type refuse func(hint, format string, args ...any)

func (t Transaction) refuseHost(add refuse) {
	f := t.Facts
	switch {
	case f.Systemd == 0:
		add("seatrial deploys to hosts that run systemd", "there is no systemd on this host")
	case f.Systemd < OldestSystemd:
		add("upgrade the host", "systemd %d is too old: %d is the oldest that works", f.Systemd, OldestSystemd)
	}
	if len(f.Missing) > 0 {
		add("install coreutils and util-linux", "the host lacks %s", strings.Join(f.Missing, ", "))
	}
	if v, ok := strings.CutPrefix(f.Record.State, "version "); ok {
		add("use the newer seatrial that wrote it", "/var/lib/seatrial/%s/record is of version %q, which this seatrial does not know", t.Service.Name, v)
	}
	if l := t.Service.Log; l != nil {
		if have, ok := f.Dir[l.Path]; ok && have.Kind != "directory" {
			add("remove it, or change logs.directory in the inventory", "%s is a %s, not a directory", l.Path, have.Kind)
		}
	}
	for _, u := range f.NoUser {
		add("create the user, or change logs.owner in the inventory", "there is no user %s on this host", u)
	}
	for _, g := range f.NoGroup {
		add("create the group, or change logs.group in the inventory", "there is no group %s on this host", g)
	}
}

func (t Transaction) refuseUnits(add refuse) {
	ours := t.Facts.Record.Unfinished() // then the lock step undoes what is left before it looks
	for _, file := range t.Service.Files {
		if link := t.Facts.File(file.Path).Link; link != "" && link != "/dev/null" {
			add("replace the link by the file it points to", "%s is a symlink to %s: seatrial would replace it", file.Path, link)
		}
		name := strings.TrimPrefix(file.Path, UnitDirectory+"/")
		if trial := t.Facts.File("/run/systemd/system.control/" + name); file.Unit() && trial.Digest != none && !ours {
			add("somebody ran `systemctl set-property` or left it there: look, and remove it", "%s exists and is not seatrial's", trial.Path)
		}
		if above := t.Facts.File("/etc/systemd/system.control/" + name); file.Unit() && above.Digest != none {
			add("remove it, or systemd will never read the new unit", "%s precedes the unit", above.Path)
		}
	}
	for _, run := range t.Service.Runs {
		u := t.Facts.Units[run.Unit]
		switch {
		case u["LoadState"] == "masked":
			add("systemctl unmask "+run.Unit, "%s is masked", run.Unit)
		case u["ActiveState"] == "active" && (u["LoadState"] == "not-found" || u["FragmentPath"] == run.File && t.Facts.File(run.File).Digest == none && !ours):
			add("stop it, or put its unit file back", "%s runs, but its unit file is gone: there would be no way back", run.Unit)
		case u["Job"] != "" && u["ActiveState"] != "activating" && !ours: // an activating one may be in a crash loop
			add("wait until it is done: systemctl list-jobs", "%s has a job waiting in systemd: somebody else is acting on it", run.Unit)
		}
	}
}

// What a deploy needs: unit, stage, previous and release copies, and systemd's own 16 MiB on /run for a reload.
const (
	needKiB    = 1024
	needRunKiB = 17 * 1024
	needInodes = 32
)

func (t Transaction) refuseSpace(add refuse) {
	for _, path := range t.Facts.ReadOnly {
		add("remount it read-write, and find out why it is not", "%s cannot be written to", path)
	}
	seen := map[string]bool{} // directories share file systems
	for _, s := range t.Facts.Disk {
		if seen[s.Mount] {
			continue
		}
		seen[s.Mount] = true
		need := int64(needKiB)
		if s.Mount == "/run" {
			need = needRunKiB
		}
		if s.KiB < need {
			add("free some space", "%s has %d KiB left, a deploy needs %d", s.Mount, s.KiB, need)
		}
		if s.Inodes >= 0 && s.Inodes < needInodes {
			add("free some inodes", "%s has %d inodes left, a deploy needs %d", s.Mount, s.Inodes, needInodes)
		}
	}
}
