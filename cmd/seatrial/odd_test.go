package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatrial/seatrial/cmd/internal/lab"
)

// Hosts in states that nobody planned for: each is handled, or refused with a reason before anything is changed. Faults of
// one service share a host; what troubles a whole host has one of its own. SEATRIAL_MATRIX=full: on every systemd.
func TestOddHosts(t *testing.T) {
	t.Parallel()
	suites := []string{"bookworm"}
	if lab.Full() {
		suites = []string{"bullseye", "bookworm", "trixie"}
	}
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) { oddHosts(t, suite) })
	}
}

func oddHosts(t *testing.T, suite string) {
	l := lab.Start(t, lab.Spec{Hosts: []lab.HostSpec{{Name: "odd", Suite: suite}, {Name: "disk", Suite: suite}}})
	// The tests mostly wait, but what they wait for is polled: more at once take longer.
	var side sync.WaitGroup
	gate := make(chan struct{}, 3)
	for _, tt := range []struct {
		name string
		do   func(*odd)
	}{
		{"kept", retention}, {"socket", socketActivated}, {"masked", masked}, {"linked", linked}, {"vendor", vendor},
		{"dropins", dropIns}, {"fresh", freshDropIns}, {"foreign", foreignTrial}, {"pending", pendingJob}, {"instances", instances}, {"oneshot", oneshot},
		{"remains", oneshotRemains}, {"forking", forking}, {"gone", fileGone},
		{"future", futureRecord}, {"hand", handMadeComesBack}, {"unhealthy", oldUnitUnhealthy},
	} {
		side.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			t.Run(tt.name, func(t *testing.T) { tt.do(newOdd(t, l, l.Host("odd"), tt.name)) })
		})
	}
	side.Go(func() { t.Run("disk", func(t *testing.T) { refusingDisks(t, l) }) })
	side.Wait()
}

// odd is a service on one host.
type odd struct {
	*scenario
	host *lab.Host
	user string // who logs in
}

func newOdd(t *testing.T, l *lab.Lab, h *lab.Host, name string) *odd {
	t.Helper()
	s := &scenario{t: t, lab: l, name: name, dir: t.TempDir(), window: "3s", start: "10s"}
	return &odd{scenario: s, host: h, user: "deploy"}
}

func service(words string, more ...string) string {
	return "[Service]\nExecStart=" + words + "\n" + strings.Join(more, "\n") + "\n[Install]\nWantedBy=multi-user.target\n"
}

const (
	old       = "/bin/sleep 100001"
	renewed   = "/bin/sleep 100002"
	dies      = "/bin/sh -c 'echo I give up; sleep 0.5; exit 7'" // journald is told whose line it is by a process that lives
	installed = "/etc/systemd/system/"
)

// release writes the inventory and the units to be deployed: name, text, name, text.
func (o *odd) release(units ...string) {
	o.t.Helper()
	var names []string
	for i := 0; i < len(units); i += 2 {
		names = append(names, fmt.Sprintf("%q", units[i]))
		o.file(units[i], units[i+1])
	}
	o.file("inventory.toml", o.lab.InventorySSH()+fmt.Sprintf(`
[services.%s]
units = [%s]
start_timeout = %q
%s
[services.%[1]s.settle]
window = %[5]q
allow_short = true
[environments.lab]
[[environments.lab.hosts]]
name = %[6]q
address = %[7]q
user = %[8]q
`, o.name, strings.Join(names, ", "), o.start, o.extra, o.window, o.host.Name, o.host.Addr, o.user))
}

// plant puts units on the host as a person would, and then does the rest.
func (o *odd) plant(then string, units ...string) {
	o.t.Helper()
	for i := 0; i < len(units); i += 2 {
		path := units[i]
		if !filepath.IsAbs(path) {
			path = installed + path
		}
		if err := o.host.Put(path, units[i+1], 0o644); err != nil {
			o.t.Fatal(err)
		}
	}
	o.sh("systemctl daemon-reload")
	o.sh(then)
}

func (o *odd) sh(script string) string {
	o.t.Helper()
	return sh(o.t, o.host, script)
}

// look is all that must be as it was: the files with mode and owner, what systemd knows of the units, and what lies about.
func (o *odd) look(properties string, units ...string) string {
	o.t.Helper()
	var b strings.Builder
	for _, u := range units {
		file := u
		if name, _, ok := strings.Cut(u, "@"); ok {
			file = name + "@.service"
		}
		fmt.Fprintln(&b, o.sh(fmt.Sprintf("stat -c '%%N %%a %%U:%%G' %[1]s%[2]s 2>/dev/null; cat %[1]s%[2]s 2>/dev/null; systemctl show -p LoadState,ActiveState,FragmentPath,UnitFileState,NeedDaemonReload,%[4]s -- %[3]s",
			installed, file, u, properties)))
	}
	fmt.Fprintln(&b, o.sh(fmt.Sprintf("ls -A %s | grep seatrial | grep -F %[2]s; ls -d /run/seatrial/%[2]s /run/systemd/system.control/%[2]s* 2>/dev/null || true", installed, o.name)))
	return b.String()
}

// refused wants plan and deploy to say the same before anything is changed.
func (o *odd) refused(texts ...string) {
	o.t.Helper()
	look := func() string { // 257 wants a reload whenever anybody on the host has changed a unit
		text := o.look("InvocationID,NRestarts", o.name+".service")
		return strings.NewReplacer("NeedDaemonReload=yes\n", "", "NeedDaemonReload=no\n", "").Replace(text)
	}
	before := look()
	o.run("plan", "lab").exits(4).says(texts...).says("hint: ")
	o.run("deploy", "lab").exits(4).says(texts...).says("refused", "hint: ")
	o.same(before, look())
}

func (o *odd) same(before, after string) {
	o.t.Helper()
	if before != after {
		o.t.Errorf("changed:\n%s\nis now\n%s", before, after)
	}
}

// runs wants a process of the unit to have these words on its command line.
func (o *odd) runs(unit, words string) {
	o.t.Helper()
	if got := o.sh("tr '\\0' ' ' </proc/$(systemctl show -p MainPID --value -- " + unit + ")/cmdline || true"); strings.TrimSpace(got) != words {
		o.t.Errorf("%s runs %q, want %q", unit, got, words)
	}
}

func masked(o *odd) {
	o.plant("systemctl start masked.service; systemctl mask masked.service 2>/dev/null", "/usr/lib/systemd/system/masked.service", service(old))
	o.release("masked.service", service(renewed))
	o.refused("masked.service is masked", "systemctl unmask masked.service")
	o.runs("masked.service", old)
}

func linked(o *odd) {
	o.plant("systemctl link /opt/linked/linked.service 2>/dev/null; systemctl start linked.service", "/opt/linked/linked.service", service(old))
	o.release("linked.service", service(renewed))
	o.refused("/etc/systemd/system/linked.service is a symlink to /opt/linked/linked.service", "replace the link")
}

// A distribution's unit is what a failure goes back to, and what the first good release precedes.
func vendor(o *odd) {
	o.plant("systemctl enable --now vendor.service 2>/dev/null", "/usr/lib/systemd/system/vendor.service", service(old))
	before := o.look("", "vendor.service")
	o.release("vendor.service", service(dies))
	o.run("plan", "lab").exits(0).says("on failure: vendor.service from", "/systemd/system/vendor.service again")
	o.run("deploy", "lab").exits(3).says("rolled-back", "I give up")
	o.same(before, o.look("", "vendor.service"))
	o.runs("vendor.service", old)
	o.release("vendor.service", service(renewed))
	o.run("deploy", "lab").exits(0)
	o.runs("vendor.service", renewed)
	o.run("rollback", "lab").exits(4).says("no release to go back to")
	o.runs("vendor.service", renewed)
}

// Drop-ins apply to the trial as they do to what is installed, and a plan tells of them.
func dropIns(o *odd) {
	const path = installed + "dropins.service.d/exec.conf"
	o.plant("systemctl start dropins.service", "dropins.service", service(old), path, "[Service]\nExecStart=\nExecStart=/bin/sleep 100003\n")
	o.release("dropins.service", service(renewed))
	o.run("plan", "lab").exits(0).says("drop-in " + path + " applies to dropins.service")
	o.run("deploy", "lab").exits(0)
	o.runs("dropins.service", "/bin/sleep 100003")
	o.plant("true", path, "[Service]\nExecStart=\nExecStart="+dies+"\n")
	before := o.sh("cat " + installed + "dropins.service")
	o.release("dropins.service", service(renewed, "Nice=1"))
	o.run("deploy", "lab").exits(6).says("I give up")
	o.same(before, o.sh("cat "+installed+"dropins.service"))
}

// Nobody but the plan tells of drop-ins that wait for a unit which is not there yet.
func freshDropIns(o *odd) {
	own, kin := installed+"fresh-one.service.d/own.conf", installed+"fresh-.service.d/kin.conf"
	o.plant("true", own, "[Service]\nExecStart=\nExecStart=/bin/sleep 100003\n", kin, "[Service]\nNice=1\n")
	o.release("fresh-one.service", service(renewed))
	o.run("plan", "lab").exits(0).says("drop-in "+own+" applies to fresh-one.service", "drop-in "+kin+" applies to fresh-one.service")
	o.run("deploy", "lab").exits(0)
	o.runs("fresh-one.service", "/bin/sleep 100003")
	if got := strings.Fields(o.sh("systemctl show -p DropInPaths --value -- fresh-one.service")); len(got) != 2 {
		o.t.Errorf("systemd applies %v", got)
	}
}

func foreignTrial(o *odd) {
	o.plant("systemctl start foreign.service", "foreign.service", service(old), "/run/systemd/system.control/foreign.service", service("/bin/sleep 100004"))
	o.release("foreign.service", service(renewed))
	before := o.look("InvocationID", "foreign.service")
	o.run("plan", "lab").exits(4).says("/run/systemd/system.control/foreign.service exists and is not seatrial's", "hint: ")
	o.run("deploy", "lab").exits(4).says("/run/systemd/system.control/foreign.service exists and is not seatrial's", "hint: ")
	o.same(before, o.look("InvocationID", "foreign.service"))
	o.sh("rm /run/systemd/system.control/foreign.service; systemctl daemon-reload")
}

func pendingJob(o *odd) {
	o.plant("systemctl start pending.service; systemctl start --no-block pending-slow.service; systemctl restart --no-block pending.service; until [ \"$(systemctl is-active pending.service)\" = inactive ]; do sleep 0.1; done",
		"pending.service", "[Unit]\nAfter=pending-slow.service\n"+service(old), "pending-slow.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 600\n")
	o.release("pending.service", service(renewed))
	o.refused("pending.service has a job waiting in systemd", "systemctl list-jobs")
	o.sh("systemctl cancel; systemctl stop pending-slow.service")
	o.run("deploy", "lab").exits(0)
}

func instances(o *odd) {
	o.extra = `instances = ["1", "2"]`
	o.release("instances@.service", service("/bin/sleep 10000%i"))
	o.run("deploy", "lab").exits(0)
	o.runs("instances@1.service", "/bin/sleep 100001")
	o.runs("instances@2.service", "/bin/sleep 100002")
	before := o.look("", "instances@1.service", "instances@2.service")
	o.release("instances@.service", service("/bin/sh -c '[ %i = 1 ] && exec sleep 100003'"))
	o.run("deploy", "lab").exits(3).says("instances@2.service")
	o.same(before, o.look("", "instances@1.service", "instances@2.service"))
	o.runs("instances@1.service", "/bin/sleep 100001")
}

// The service holds the socket while both are restarted.
func socketActivated(o *odd) {
	if err := o.host.Put("/usr/local/bin/accepts", "#!/usr/bin/perl\nopen(my $s, '+<&=', 3) or die; while (accept(my $c, $s)) { print $c \"version $ARGV[0]\\n\"; close $c }\n", 0o755); err != nil {
		o.t.Fatal(err)
	}
	o.extra = "[services.socket.verify]\nlisten = [\"127.0.0.1:9101\"]\ntimeout = \"4s\""
	socket := "[Socket]\nListenStream=127.0.0.1:9101\n[Install]\nWantedBy=sockets.target\n"
	asked := func() string {
		return o.sh(`perl -MIO::Socket::INET -e 'print IO::Socket::INET->new("127.0.0.1:9101")->getline'`)
	}
	for _, version := range []string{"1", "2", "3"} {
		o.release("socket.socket", socket+"# "+version+"\n", "socket.service", service("/usr/local/bin/accepts "+version))
		o.run("deploy", "lab").exits(0)
		if got := asked(); got != "version "+version {
			o.t.Errorf("version %s answers %q", version, got)
		}
	}
	before := o.look("", "socket.socket", "socket.service")
	o.release("socket.socket", socket, "socket.service", service(dies))
	o.run("deploy", "lab").exits(3).says("I give up")
	o.same(before, o.look("", "socket.socket", "socket.service"))
	if got := asked(); got != "version 3" {
		o.t.Errorf("after the rollback %q answers", got)
	}
}

func oneshot(o *odd) {
	o.release("oneshot.service", service("/bin/sh -c 'echo 1 >>/run/oneshot-ran'", "Type=oneshot"))
	o.run("deploy", "lab").exits(0)
	before := o.look("", "oneshot.service")
	o.release("oneshot.service", service(dies, "Type=oneshot"))
	o.run("deploy", "lab").exits(3).says("I give up", "exited 7")
	o.same(before, o.look("", "oneshot.service"))
	o.release("oneshot.service", service("/bin/sh -c 'echo 2 >>/run/oneshot-ran'", "Type=oneshot"))
	o.run("deploy", "lab").exits(0)
	if got := o.sh("cat /run/oneshot-ran"); got != "1\n2" {
		o.t.Errorf("it ran %q", got)
	}
}

func oneshotRemains(o *odd) {
	o.release("remains.service", service("/bin/true", "Type=oneshot", "RemainAfterExit=yes"))
	o.run("deploy", "lab").exits(0)
	before := o.look("SubState", "remains.service")
	if !strings.Contains(before, "SubState=exited") {
		o.t.Errorf("it does not remain:\n%s", before)
	}
	o.release("remains.service", service(dies, "Type=oneshot", "RemainAfterExit=yes"))
	o.run("deploy", "lab").exits(3).says("I give up")
	o.same(before, o.look("SubState", "remains.service"))
}

func forking(o *odd) {
	unit := func(words string) string {
		return service("/bin/sh -c '"+words+" & echo $! >/run/forking.pid'", "Type=forking", "PIDFile=/run/forking.pid")
	}
	o.release("forking.service", unit("sleep 100001"))
	o.run("deploy", "lab").exits(0)
	o.runs("forking.service", "sleep 100001")
	before := o.look("", "forking.service")
	o.release("forking.service", unit("sleep 1"))
	o.run("deploy", "lab").exits(3).says("forking.service ended")
	o.same(before, o.look("", "forking.service"))
	o.runs("forking.service", "sleep 100001")
	o.release("forking.service", unit("sleep 100002"))
	o.run("deploy", "lab").exits(0)
	o.runs("forking.service", "sleep 100002")
}

func fileGone(o *odd) {
	o.plant("systemctl start gone.service; rm /etc/systemd/system/gone.service; systemctl daemon-reload", "gone.service", service(old))
	o.release("gone.service", service(renewed))
	o.refused("gone.service runs, but its unit file is gone: there would be no way back", "put its unit file back")
}

// systemd still has the unit in memory, and would not after the trial. On a host where nobody else reloads.
func fileGoneUnnoticed(o *odd) {
	o.plant("systemctl start unloaded.service", "unloaded.service", service(old))
	o.sh("rm /etc/systemd/system/unloaded.service")
	o.release("unloaded.service", service(renewed))
	o.refused("unloaded.service runs, but its unit file is gone: there would be no way back", "put its unit file back")
	o.runs("unloaded.service", old)
}

func futureRecord(o *odd) {
	o.plant("systemctl start future.service", "future.service", service(old), "/var/lib/seatrial/future/record", "version=2\nstate=ORBIT\n")
	o.release("future.service", service(renewed))
	o.refused(`/var/lib/seatrial/future/record is of version "2"`, "use the newer seatrial")
}

// Four units made by hand, each in another state; the new ones fail.
func handMadeComesBack(o *odd) {
	names := []string{"hand-a.service", "hand-b.service", "hand-c.service", "hand-d.service"}
	before := o.handMade(names)
	o.release(names[0], service(renewed), names[1], service(renewed), names[2], service(renewed), names[3], service(dies))
	o.run("deploy", "lab").exits(3).says("hand-d.service", "I give up", "rolled-back")
	o.same(before, o.look("SubState", names...))
}

// handMade plants units that are enabled and run, enabled only, running only, and neither.
func (o *odd) handMade(names []string) string {
	for i, name := range names {
		o.plant("", name, fmt.Sprintf("# made by hand %d \n\n", i)+service(old)+"\n\n# no newline at the end")
	}
	o.sh(fmt.Sprintf("cd %s && chown deploy:adm %s && chmod 640 %[2]s && systemctl enable --now %s 2>/dev/null && systemctl enable %s 2>/dev/null && systemctl start %s",
		installed, strings.Join(names, " "), names[0], names[1], names[2]))
	return o.look("SubState", names...)
}

func oldUnitUnhealthy(o *odd) {
	o.plant("touch /run/unhealthy-ok; systemctl start unhealthy.service; until pgrep -xf 'sleep 100777'; do sleep 0.1; done; rm /run/unhealthy-ok",
		"unhealthy.service", service("/bin/sh -c '[ -e /run/unhealthy-ok ] || { echo the old one misses its file; sleep 0.5; exit 9; }; exec sleep 100777'"))
	o.release("unhealthy.service", service(dies))
	o.run("deploy", "lab").exits(6).says("I give up", "the old one misses its file", "unhealthy.service does not run")
	if got := o.sh("journalctl -q -o cat -u unhealthy.service | grep -c 'misses its file'"); got != "1" {
		o.t.Errorf("the old unit was tried %s times", got)
	}
	if got := o.sh("cat /etc/systemd/system/unhealthy.service"); !strings.Contains(got, "unhealthy-ok") {
		o.t.Errorf("the old unit is not back:\n%s", got)
	}
}

// Five good releases are kept and five bad ones; a rollback passes over the bad.
func retention(o *odd) {
	if !lab.Full() {
		o.t.Skip("many deploys; plans does the same on embedded hosts. SEATRIAL_MATRIX=full")
	}
	o.window = "1s"
	good := func(i int) string { return fmt.Sprintf("/bin/sleep 20000%d", i) }
	for i := range 8 {
		o.release("kept.service", service(good(i)))
		o.run("deploy", "lab").exits(0)
	}
	for i := range 6 {
		o.release("kept.service", service(dies, fmt.Sprintf("Nice=%d", i)))
		o.run("deploy", "lab").exits(3)
	}
	kept := o.sh("cd /var/lib/seatrial/kept/releases && grep -h -e ^ExecStart= -e ^Nice= */kept.service | grep -v 'give up' | sort")
	if want := "ExecStart=/bin/sleep 200003\nExecStart=/bin/sleep 200004\nExecStart=/bin/sleep 200005\nExecStart=/bin/sleep 200006\nExecStart=/bin/sleep 200007\nNice=1\nNice=2\nNice=3\nNice=4\nNice=5"; kept != want {
		o.t.Errorf("kept are\n%s\nwant\n%s", kept, want)
	}
	o.runs("kept.service", good(7))
	o.run("rollback", "lab").exits(0)
	o.runs("kept.service", good(6))
}

// One host of three fails after another has committed: what was made by hand comes back there, too.
func TestUndoneCommit(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "undone", 9016)
	names := []string{"undone-a.service", "undone-b.service", "undone-c.service", "undone-d.service"}
	var before []string
	for _, h := range s.hosts {
		before = append(before, (&odd{scenario: s, host: h}).handMade(names))
	}
	sh(t, s.lab.Host("web-2"), "touch /etc/undone-fails")
	fails := service("/bin/sh -c '[ ! -e /etc/undone-fails ] && exec sleep 100002'")
	s.units, s.rollout = names, "canary = 1\non_failure = \"rollback-all\""
	s.write(fails)
	text, err := os.ReadFile(filepath.Join(s.dir, "inventory.toml"))
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "[services.undone.verify]")
	_, rest, _ = strings.Cut(rest, "[environments.lab]")
	s.file("inventory.toml", head+"[environments.lab]"+rest)
	for _, name := range names {
		s.file(name, fails)
	}
	r := s.run("deploy", "lab", "--json").exits(3)
	if got := fmt.Sprint(r.outcomes()); !strings.Contains(got, "web-1:rolled-back web-2:rolled-back") {
		t.Errorf("outcomes: %s", got)
	}
	r.says(`"host":"web-1","service":"undone","step":"commit","status":"ok"`)
	for i, h := range s.hosts {
		o := &odd{scenario: s, host: h}
		o.same(before[i], o.look("SubState", names...))
	}
}

// refusingDisks spoils one file system of the host after the other.
func refusingDisks(t *testing.T, l *lab.Lab) {
	h := l.Host("disk")
	t.Run("unloaded", func(t *testing.T) { fileGoneUnnoticed(newOdd(t, l, h, "unloaded")) })
	o := newOdd(t, l, h, "disk")
	o.plant("systemctl start disk.service", "disk.service", service(old))
	o.release("disk.service", service(renewed))
	const shrink = `set -e; eval "$(df -P%s "$1" | { read -r _; read -r _ _ used _; echo used=$used; })"; mount -o "remount,%s=$((used + %d))%s" "$1"`
	const overlay = `mount -t tmpfs -o size=64m,nr_inodes=20k seatrial-odd /mnt && cp -a "$1/." /mnt && mount --bind /mnt "$1" && umount /mnt`
	space, inodes := fmt.Sprintf(shrink, "k", "size", 300, "k"), fmt.Sprintf(shrink, "i", "nr_inodes", 9, "")
	for _, tt := range []struct {
		name, dir, spoil, mend string
		says                   []string
	}{
		{"units full", "/etc/systemd/system", overlay + " && " + space, `umount "$1"`, []string{"/etc/systemd/system has 300 KiB left, a deploy needs 1024", "free"}},
		{"units without inodes", "/etc/systemd/system", overlay + " && " + inodes, `umount "$1"`, []string{"/etc/systemd/system has 9 inodes left, a deploy needs 32", "free"}},
		{"state full", "/var/lib", overlay + " && " + space, `umount "$1"`, []string{"/var/lib has 300 KiB left, a deploy needs 1024"}},
		{"state without inodes", "/var/lib", overlay + " && " + inodes, `umount "$1"`, []string{"/var/lib has 9 inodes left, a deploy needs 32"}},
		{"run full", "/run", space, `mount -o remount,size=64m "$1"`, []string{"/run has ", " KiB left, a deploy needs 17408"}},
		{"run without inodes", "/run", inodes, `mount -o remount,nr_inodes=20k "$1"`, []string{"/run has ", " inodes left, a deploy needs 32"}},
		{"units read-only", "/etc/systemd/system", readOnly, `umount "$1"`, []string{"/etc/systemd/system cannot be written to", "remount it read-write"}},
		{"state read-only", "/var/lib", readOnly, `umount "$1"`, []string{"/var/lib cannot be written to"}},
		{"run read-only", "/run", readOnly, `umount "$1"`, []string{"/run cannot be written to"}},
		{"own state read-only", "/var/lib/seatrial/disk", `mkdir -p "$1" && ` + readOnly, `umount "$1"`, []string{"/var/lib/seatrial/disk cannot be written to"}},
		{"all state full", "/var/lib/seatrial", overlay + " && " + space, `umount "$1"`, []string{"/var/lib/seatrial has 300 KiB left, a deploy needs 1024"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := *o
			s := *o.scenario
			o.scenario, s.t = &s, t
			if _, err := h.Sh(tt.spoil, tt.dir); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if _, err := h.Sh(tt.mend, tt.dir); err != nil {
					t.Fatal(err)
				}
			}()
			o.refused(tt.says...)
			o.runs("disk.service", old)
		})
	}
	o.strangeHosts(t)
	o.leavesNothing(t)
	t.Run("no lint", func(t *testing.T) {
		o.t = t
		o.release("disk.service", service(renewed))
		o.sh("mv /usr/bin/systemd-analyze /usr/bin/systemd-analyze.away")
		o.run("plan", "lab").exits(0).says("no systemd-analyze on this host: the unit is not linted")
		o.run("deploy", "lab", "-v").exits(0).says("skipped: there is no systemd-analyze")
		o.runs("disk.service", renewed)
	})
}

// strangeHosts are those on which nobody could deploy anything.
func (o *odd) strangeHosts(t *testing.T) {
	for _, tt := range []struct {
		name, user, spoil, mend string
		says                    []string
	}{
		{"another init", "deploy", `mkdir -p /mnt/none && mount --bind /mnt/none /run/systemd`, `umount /run/systemd`, []string{"there is no systemd on this host"}},
		{"no systemd", "deploy", `mv /usr/bin/systemctl /usr/bin/systemctl.away`, `mv /usr/bin/systemctl.away /usr/bin/systemctl`,
			[]string{"there is no systemd on this host", "the host lacks systemctl"}},
		{"systemd too old", "deploy", `cp /usr/bin/systemctl /usr/bin/systemctl.away && printf '#!/bin/sh\n[ "$1" != --version ] || { echo "systemd 237"; exit; }\nexec /usr/bin/systemctl.away "$@"\n' >/usr/bin/systemctl`,
			`mv /usr/bin/systemctl.away /usr/bin/systemctl`, []string{"systemd 237 is too old: 239 is the oldest that works"}},
		{"no sudo", "locked", `true`, `true`, []string{"become root: sudo without a password is not possible", "locked ALL=(root) NOPASSWD: ALL"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, s := *o, *o.scenario
			o.scenario, s.t, o.user = &s, t, tt.user
			o.release("disk.service", service(renewed))
			before := o.sh("cat /etc/systemd/system/disk.service; pgrep -xf '" + old + "'")
			o.sh(tt.spoil)
			o.run("plan", "lab").exits(4).says(tt.says...).says("hint: ")
			o.run("deploy", "lab").exits(4).says(tt.says...).says("refused", "hint: ")
			o.sh(tt.mend)
			o.same(before, o.sh("cat /etc/systemd/system/disk.service; pgrep -xf '"+old+"'"))
		})
	}
}

// leavesNothing: whatever becomes of a run, its processes and its logins on the host end with it.
func (o *odd) leavesNothing(t *testing.T) {
	nothing := func(t *testing.T) {
		t.Helper()
		eventually(t, 2*time.Minute, "nothing of ours runs on the host", func() bool {
			return o.sh("ps -eo args | grep -e '[s]eatrial' -e '[s]shd.*deploy' -e '[s]shd-session' || true") == ""
		})
	}
	for _, tt := range []struct {
		name, unit string
		code       int
		cancel     bool
	}{{"a deploy", renewed, 0, false}, {"a failure", dies, 3, false}, {"an interrupt", old, 130, true}} {
		t.Run("after "+tt.name, func(t *testing.T) {
			o, s := *o, *o.scenario
			o.scenario, s.t = &s, t
			if tt.cancel {
				s.window = "8s"
			}
			o.release("disk.service", service(tt.unit))
			c := o.command(t.Context(), "deploy", "lab")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if tt.cancel {
				eventually(t, time.Minute, "it is in trial", func() bool {
					return o.sh("ls /run/systemd/system.control/disk.service 2>/dev/null || true") != ""
				})
				_ = c.Process.Signal(os.Interrupt)
			}
			_ = c.Wait()
			if got := c.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			nothing(t)
		})
	}
}

const readOnly = `mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"`
