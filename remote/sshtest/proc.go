package sshtest

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// /proc and /sys/fs/cgroup, made up at each look from what the host runs. Everything has one network namespace.

// actor is a simulated process as /proc shows it.
type actor struct {
	pid     int
	name    string
	words   []string
	group   string
	sockets []*socket
}

// actors are the processes of the host, in the order of their pids.
func (h *Host) actors() []actor {
	list := []actor{{pid: 1, name: "systemd", words: []string{"/sbin/init"}, group: "/init.scope"}}
	for _, u := range h.systemd.units {
		if u.pid != 0 {
			a := actor{pid: u.pid, name: u.program(), words: u.words, group: u.group(), sockets: u.sockets}
			list = append(list, a)
			a.pid++
			list = append(list, a)
		} else if len(u.sockets) > 0 {
			list[0].sockets = append(list[0].sockets, u.sockets...)
		}
	}
	for _, held := range h.network.held {
		list = append(list, actor{pid: held.pid, name: "other", words: []string{"other"}, group: "/user.slice", sockets: []*socket{held.socket}})
	}
	slices.SortFunc(list[0].sockets, func(a, b *socket) int { return a.inode - b.inode })
	slices.SortFunc(list, func(a, b actor) int { return a.pid - b.pid })
	return list
}

func (u *unit) program() string {
	if len(u.words) > 0 {
		return path.Base(u.words[0])
	}
	return u.name
}

// synthetic makes the node of a path below /proc or /sys; ok says that the path is such a one.
func (h *Host) synthetic(p string) (n *node, ok bool) {
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	switch parts[0] {
	case "proc":
		return h.proc(parts[1:]), true
	case "sys":
		return h.sys(p), true
	}
	return nil, false
}

func (h *Host) file(text string) *node {
	return &node{perm: 0o444, owner: "root", group: "root", data: []byte(text), modified: h.clock.wall()}
}

func (h *Host) directory(children map[string]*node) *node {
	return &node{kind: fs.ModeDir, perm: 0o555, owner: "root", group: "root", children: children, modified: h.clock.wall()}
}

func (h *Host) links(targets map[string]string) *node {
	children := map[string]*node{}
	for name, target := range targets {
		children[name] = &node{kind: fs.ModeSymlink, perm: 0o700, owner: "root", group: "root", target: target, modified: h.clock.wall()}
	}
	return h.directory(children)
}

func (h *Host) proc(parts []string) *node {
	if len(parts) == 0 {
		return h.procRoot()
	}
	at := h.static(parts)
	if at != nil {
		return at
	}
	for _, a := range h.actors() {
		if itoa(a.pid) == parts[0] {
			return descend(h.procOf(a), parts[1:])
		}
	}
	return nil
}

func (h *Host) static(parts []string) *node {
	switch strings.Join(parts, "/") {
	case "uptime":
		return h.file(fmt.Sprintf("%.2f %.2f\n", h.clock.up.Seconds(), h.clock.up.Seconds()))
	case "sys/kernel/random/boot_id":
		return h.file(h.boot + "\n")
	case "loadavg":
		return h.file("0.00 0.00 0.00 1/100 1000\n")
	case "version":
		return h.file("Linux version 6.1.0-18-amd64\n")
	}
	if parts[0] == "net" || parts[0] == "self" && len(parts) > 1 && parts[1] == "net" {
		return descend(h.net(), parts[slices.Index(parts, "net")+1:])
	}
	return nil
}

func (h *Host) procRoot() *node {
	children := map[string]*node{"uptime": h.static([]string{"uptime"}), "net": h.net()}
	for _, a := range h.actors() {
		children[itoa(a.pid)] = h.procOf(a)
	}
	return h.directory(children)
}

func descend(n *node, parts []string) *node {
	for _, part := range parts {
		if n == nil || part == "" {
			break
		}
		n = n.children[part]
	}
	return n
}

func (h *Host) procOf(a actor) *node {
	descriptors := map[string]string{"0": "/dev/null", "1": "socket:[1]", "2": "socket:[1]"}
	for i, s := range a.sockets {
		descriptors[itoa(3+i)] = fmt.Sprintf("socket:[%d]", s.inode)
	}
	return h.directory(map[string]*node{
		"fd": h.links(descriptors), "net": h.net(), "comm": h.file(a.name + "\n"),
		"cmdline": h.file(strings.Join(a.words, "\x00") + "\x00"), "cgroup": h.file("0::" + a.group + "\n"),
	})
}

// net holds the tables of listening sockets.
func (h *Host) net() *node {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	tables := map[bool]*strings.Builder{false: {}, true: {}}
	for i, s := range h.listening() {
		remote := strings.Repeat("0", len(s.hexIP())) + ":0000"
		fmt.Fprintf(tables[s.v6()], "%4d: %s:%04X %s 0A 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 100 0 0 10 0\n",
			i, s.hexIP(), s.port, remote, s.inode)
	}
	return h.directory(map[string]*node{"tcp": h.file(head + tables[false].String()), "tcp6": h.file(head + tables[true].String())})
}

func (h *Host) sys(p string) *node {
	const root = "/sys/fs/cgroup"
	if p == root {
		return h.directory(map[string]*node{"system.slice": h.directory(nil)})
	}
	group := strings.TrimPrefix(p, root)
	base := strings.TrimSuffix(group, "/cgroup.procs")
	var pids strings.Builder
	for _, a := range h.actors() {
		if a.group == base {
			fmt.Fprintln(&pids, a.pid)
		}
	}
	switch {
	case group == p || pids.Len() == 0:
		return nil
	case base != group:
		return h.file(pids.String())
	}
	return h.directory(map[string]*node{"cgroup.procs": h.file(pids.String())})
}

// moveDeadlines lets leases end later by the seconds that an SSH session slept: a live controller renews by the
// real clock, which stands nearly still.
func (h *Host) moveDeadlines(seconds int) {
	dir, err := h.tree.get("/run/seatrial", true)
	if err != nil || seconds == 0 {
		return
	}
	for _, service := range dir.names() {
		n := dir.children[service].children["deadline"]
		if n == nil {
			continue
		}
		var at int
		if _, err := fmt.Sscanf(string(n.data), "%d", &at); err == nil {
			n.data = fmt.Appendf(nil, "%d\n", at+seconds)
		}
	}
}

// signal is kill(2) from a script.
func (h *Host) signal(pid int, signal string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range h.systemd.units {
		if u.pid == pid || u.pid != 0 && u.pid+1 == pid {
			if signal != "0" {
				h.systemd.kill(u, signal)
			}
			return true
		}
	}
	return false
}

// kill ends the main process of a unit with a signal.
func (m *manager) kill(u *unit, signal string) {
	number, known := map[string]int{"KILL": 9, "9": 9, "TERM": 15, "15": 15, "SIGKILL": 9, "SIGTERM": 15, "ABRT": 6, "INT": 2}[signal]
	if u.pid != 0 && known {
		u.exited(2, number)
	}
}

// KillUnit ends the main process of a unit with a signal, as a crash does.
func (h *Host) KillUnit(name string, signal string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.systemd.kill(h.systemd.find(unitName(name)), signal)
}

// UnitState is what PID 1 knows of a unit.
type UnitState struct {
	Load, Active, Sub, Result string
	FragmentPath              string
	DropInPaths               []string
	InvocationID              string
	NRestarts, MainPID        int
	ExecMainCode              int
	ExecMainStatus            int
	FileState                 string // UnitFileState
	Text                      string // what was loaded: fragment and drop-ins
	Running                   string // the text that the running program was started from; empty if none runs
	Since                     time.Duration
}

// Unit tells the state of a unit.
func (h *Host) Unit(name string) UnitState {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.systemd.find(unitName(name))
	s := UnitState{Load: u.load, Active: u.active, Sub: u.sub, Result: u.result, FragmentPath: u.fragment(),
		DropInPaths: slices.Clone(u.file.dropIns), InvocationID: u.invocation, NRestarts: u.restarts, MainPID: u.pid,
		ExecMainCode: u.code, ExecMainStatus: u.status, FileState: u.fileState(), Text: u.file.text, Since: u.entered}
	if u.pid != 0 {
		s.Running = h.systemd.history(u.name).running
	}
	return s
}

// StartUnit starts a unit as if it had been running for a while: no fault hits it.
func (h *Host) StartUnit(name string) error {
	h.mu.Lock()
	u := h.systemd.find(unitName(name))
	if u.load != "loaded" {
		h.mu.Unlock()
		return fmt.Errorf("starting %s on the embedded host: it is %s", name, u.load)
	}
	faults := h.faults
	h.faults = nil
	u.start()
	h.faults = faults
	until := h.clock.up + u.file.duration("Service.TimeoutStartSec", 90*time.Second)
	h.mu.Unlock()
	h.clock.move(h.ctx, until, false, func() bool { return u.active != "activating" || u.sub == "auto-restart" })
	return nil
}

// StopUnit stops a unit.
func (h *Host) StopUnit(name string) {
	h.mu.Lock()
	u := h.systemd.find(unitName(name))
	w := u.worker
	u.stop()
	h.mu.Unlock()
	if w != nil {
		<-w.done
	}
}

// MaskUnit links the unit to /dev/null and lets PID 1 see it.
func (h *Host) MaskUnit(name string) error {
	_ = h.Remove("/etc/systemd/system/" + name)
	err := h.Symlink("/dev/null", "/etc/systemd/system/"+name)
	h.DaemonReload()
	return err
}

// EnableUnit makes the links of the unit's [Install] section.
func (h *Host) EnableUnit(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.systemd.enable(unitName(name))
	return err
}

// DaemonReload makes PID 1 read its files again.
func (h *Host) DaemonReload() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.systemd.reload()
}

// Units lists the units that PID 1 has in memory, with those that are transient.
func (h *Host) Units() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name, u := range h.systemd.units {
		if !u.forgotten() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
