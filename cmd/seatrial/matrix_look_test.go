package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// paths are where anything of a service may be.
func paths(service string) (patterns []string) {
	for _, dir := range []string{
		"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/etc/systemd/system", "/run/systemd/system",
		"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system/multi-user.target.wants", "/etc/logrotate.d",
	} {
		patterns = append(patterns, dir+"/*"+service+"*")
	}
	state := "/var/lib/seatrial/" + service
	return append(patterns, "/run/seatrial/"+service, "/run/seatrial/"+service+"/*", state+"/record", state+"/*/*.tmp", state+"/releases/*/*.tmp")
}

// probe prints what systemd and the processes of a service say.
const probe = `
pgrep -fa -- "--listen=127.0.0.1:$2 " | sed 's/^[0-9]* /process=/'
systemctl show -p Description,LoadState,ActiveState,SubState,NeedDaemonReload,FragmentPath,Job "$1.service" 'seatrial-guard-*'`

// A look at the host. hard is what must not be, left is what a dead run left lying about and harms nobody.
type look struct {
	which      string // old, new, neither
	state      string // of the record
	guard      bool
	hard, left []string
}

func (x *trial) look() look {
	files, err := x.host.Glob(paths(x.service)...)
	if err != nil {
		return look{hard: []string{err.Error()}}
	}
	out, err := x.host.Sh(probe, x.service, fmt.Sprint(x.port))
	if err != nil {
		return look{hard: []string{err.Error()}}
	}
	l := look{which: "neither"}
	processes, said := []string{}, map[string]string{}
	// one paragraph for the unit, and then one for each guard
	for i, unit := range strings.Split(out, "\n\n") {
		for line := range strings.Lines(unit) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			switch {
			case key == "process":
				processes = append(processes, value)
			case i == 0:
				said[key] = value
			case value == "seatrial guard of "+x.service:
				l.guard = true
				l.left = append(l.left, value)
			}
		}
	}
	wants := "/etc/systemd/system/multi-user.target.wants/" + x.service + ".service"
	if _, enabled := files[wants]; enabled {
		said["enabled"] = "yes"
		delete(files, wants)
	}
	for path, content := range files {
		switch {
		case strings.HasSuffix(path, "/record"):
			_, l.state, _ = strings.Cut(content, "\nstate=")
			l.state, _, _ = strings.Cut(l.state, "\n")
		case strings.HasPrefix(path, "/run/seatrial/"), strings.HasPrefix(path, "/var/lib/seatrial/"):
			l.left = append(l.left, path)
		default:
			continue
		}
		delete(files, path)
	}
	l.files(x, files)
	l.runs(x, said, processes)
	return l
}

// inert is what a commit prepares in /etc, and what systemd and logrotate leave alone.
var inert = regexp.MustCompile(`^/etc/.*(/\.seatrial-|/seatrial-commit-|\.dpkg-new)`)

func (l *look) files(x *trial, files map[string]string) {
	same := func(want map[string]string) bool {
		for path := range x.new {
			if content, ok := files[path]; ok != (want[path] != "") || content != want[path] {
				return false
			}
		}
		return true
	}
	switch {
	case same(x.old):
		l.which = "old"
	case same(x.new):
		l.which = "new"
	default:
		l.hard = append(l.hard, fmt.Sprintf("neither the old nor the new files: %q", files))
	}
	for path := range files {
		switch {
		case x.new[path] != "":
		case inert.MatchString(path):
			l.left = append(l.left, path)
		default:
			l.hard = append(l.hard, "left behind: "+path)
		}
	}
}

// runs holds systemd and the processes against the files.
func (l *look) runs(x *trial, said map[string]string, processes []string) {
	bad := func(format string, args ...any) { l.hard = append(l.hard, fmt.Sprintf(format, args...)) }
	there := l.which == "new" || l.which == "old" && x.kind != first
	enabled := x.enabled || l.which == "new" && x.kind == first
	if (said["enabled"] == "yes") != enabled {
		bad("enabled: %q, want %v", said["enabled"], enabled)
	}
	if said["NeedDaemonReload"] == "yes" {
		bad("systemd has not loaded what is on the disk")
	}
	if said["Job"] != "" && said["Job"] != "0" {
		bad("a job is waiting: %s", said["Job"])
	}
	if there && said["FragmentPath"] != x.unit() {
		bad("loaded from %q", said["FragmentPath"])
	}
	if !there && said["LoadState"] != "not-found" {
		bad("the unit is %s", said["LoadState"])
	}
	runs := there && (enabled || !x.boots)
	version := map[string]string{"old": "--version=1", "new": "--version=2"}[l.which]
	switch {
	case runs && (said["ActiveState"] != "active" || len(processes) != 1 || !strings.Contains(processes[0], version)):
		bad("%s is on the disk, and it is %s/%s with processes %q", l.which, said["ActiveState"], said["SubState"], processes)
	case !runs && len(processes) > 0:
		bad("it must not run: %q", processes)
	}
}

// judge waits until the host is whole, and holds the reports against it. Where no guard was armed when the run died,
// the next contact removes what is left.
func (x *trial) judge(limit time.Duration, reports ...string) {
	var l look
	contacts, pause := 0, time.Second
	for end := time.Now().Add(limit); ; time.Sleep(pause) {
		x.sleepOut()
		l, pause = x.look(), min(pause+time.Second, 5*time.Second)
		if len(l.hard)+len(l.left) == 0 || time.Now().After(end) {
			break
		}
		if len(l.hard) == 0 && x.atRest(l) && contacts < 3 && time.Until(end) < limit-x.patience() {
			x.late = true
			contacts++
			release := x.enter()
			x.start("unlock", "lab", "--steal", "--json").wait(3 * time.Minute)
			release()
		}
	}
	x.became = l.which
	for _, w := range append(l.hard, l.left...) {
		x.wrong("%s (record: %s)", w, l.state)
	}
	for _, r := range reports {
		x.truth(r, l.which)
	}
}

// sleepOut waits for the end of the lease of a trial: nothing happens before, and looks cost the machine much.
func (x *trial) sleepOut() {
	for range 120 {
		record, _ := x.host.Get("/var/lib/seatrial/" + x.service + "/record")
		deadline, _ := x.host.Get("/run/seatrial/" + x.service + "/deadline")
		uptime, _ := os.ReadFile("/proc/uptime") // the hosts' is the same
		var ends, now float64
		_, _ = fmt.Sscan(deadline, &ends)
		_, _ = fmt.Sscan(string(uptime), &now)
		if now >= ends || !strings.Contains(record, "\nstate=TRIAL\n") {
			return
		}
		time.Sleep(time.Second)
	}
}

// atRest says that nothing will happen on the host until the next contact.
func (x *trial) atRest(l look) bool {
	return !l.guard && (l.state == "LOCKED" || x.boots)
}

// patience before a leftover without a guard counts as one: what was under way on the host comes to its end first.
func (x *trial) patience() time.Duration { return 6 * time.Second }

func (x *trial) truth(report, which string) {
	want := "old"
	switch report {
	case "deployed":
		want = "new"
	case "", "unchanged":
		return
	case "unknown", "rollback-failed", "unreachable":
		x.loud = true
		return
	}
	if which != want {
		x.wrong("the report said %s, and the host has the %s release", report, which)
	}
}
