package sshtest

import (
	"context"
	"errors"
	"path"
	"slices"
	"sync"
	"time"
)

// manager is the simulated PID 1. Units only change on disk until daemon-reload; a unit that is inactive and not
// enabled is forgotten, as the garbage collection of the real one does. What it lacks: dependencies between units
// (After=, Requires=), ExecStartPre= and its kin, D-Bus, generators, user managers, resource control, watchdogs.
type manager struct {
	h          *Host
	ctx        context.Context // of this boot
	cancel     context.CancelCauseFunc
	background sync.WaitGroup
	units      map[string]*unit
	past       map[string]*past
	jobs       int
	soft       int // soft reboots of this boot
	transient  map[string]*unitFile
	held       map[string]bool // units that a target wanted at the last reload
	dirs       map[string]bool // drop-in directories that PID 1 has seen
}

// errReboot ends what runs on a host that goes down.
var errReboot = errors.New("the host went down")

func newManager(h *Host) *manager {
	m := &manager{h: h, past: map[string]*past{}}
	m.begin()
	return m
}

func (m *manager) begin() {
	m.ctx, m.cancel = context.WithCancelCause(m.h.ctx)
	m.units, m.transient, m.held, m.dirs = map[string]*unit{}, map[string]*unitFile{}, map[string]bool{}, map[string]bool{}
	m.soft = 0
}

// unit is a unit that PID 1 has in memory.
type unit struct {
	m           *manager
	name        string
	file        *unitFile
	load        string // LoadState
	active, sub string
	result      string
	invocation  string
	restarts    int
	code        int // ExecMainCode
	status      int // ExecMainStatus
	pid         int
	words       []string      // what was started
	entered     time.Duration // uptime at which it became active, 0: never
	starts      []time.Duration
	job         *job
	events      []*event // what the running program will do
	sockets     []*socket
	worker      *worker
	state       *string // UnitFileState, once it was asked for
	collect     bool
}

// job is start, stop or restart of one unit.
type job struct {
	id     int
	unit   string
	kind   string
	event  *event
	result string // "", done, failed, canceled
	why    string // Result= of the unit at the end
}

// find is the unit, loaded at its first mention.
func (m *manager) find(name string) *unit {
	if u := m.units[name]; u != nil && !u.forgotten() {
		return u
	}
	u := &unit{m: m, name: name, active: "inactive", sub: "dead", result: "success"}
	m.dirs = m.h.tree.dropInDirs()
	u.read()
	m.units[name] = u
	return u
}

// forgotten says that PID 1 would no longer hold the unit in memory.
func (u *unit) forgotten() bool {
	return u.active == "inactive" && u.job == nil && !u.m.held[u.name]
}

func (u *unit) read() {
	u.state = nil
	if f := u.m.transient[u.name]; f != nil {
		u.file, u.load = f, "loaded"
		return
	}
	u.file, u.load = u.m.h.tree.loadUnit(u.name)
}

// reload is daemon-reload.
func (m *manager) reload() {
	m.look()
	for name, u := range m.units {
		if u.forgotten() {
			delete(m.units, name)
			continue
		}
		u.read()
	}
	m.h.logManager("Reloading.")
}

// look takes in the directories of units.
func (m *manager) look() {
	m.held, m.dirs = map[string]bool{}, m.h.tree.dropInDirs()
	for _, name := range m.enabledUnits() {
		m.held[name] = true
	}
}

// stale is NeedDaemonReload: a loaded file is newer or gone, or drop-ins came or went. A new file that would take
// precedence is not noticed, nor, by old versions, a drop-in in a new directory; as in the real one.
func (u *unit) stale() bool {
	t := u.m.h.tree
	for where, stamp := range u.file.stamps {
		n, err := t.get(where, true)
		if err != nil || n.modified.After(stamp) {
			return true
		}
	}
	if u.load != "loaded" || u.isTransient() {
		return false
	}
	dropIns := slices.DeleteFunc(t.dropIns(u.name), func(p string) bool {
		return u.m.h.options.Systemd < 254 && !u.m.dirs[path.Dir(p)]
	})
	return !slices.Equal(u.file.dropIns, dropIns)
}

func (u *unit) isTransient() bool { return u.m.transient[u.name] != nil }

// isScript says whether the interpreter really runs the unit's program.
func (u *unit) isScript() bool {
	return u.isTransient() || len(u.words) > 0 && u.words[0] == "/bin/sh"
}

// fileState is UnitFileState, which PID 1 looks up once for each time that it loads the unit.
func (u *unit) fileState() string {
	if u.state == nil {
		state := u.m.fileState(u.name)
		u.state = &state
	}
	return *u.state
}

// fileState is what is-enabled says; empty: there is no such unit.
func (m *manager) fileState(name string) string {
	if m.transient[name] != nil {
		return "transient"
	}
	f, load := m.h.tree.loadUnit(name)
	switch load {
	case "not-found":
		return ""
	case "masked":
		return "masked"
	}
	for _, root := range [][2]string{{"/etc/systemd/system", "enabled"}, {"/run/systemd/system", "enabled-runtime"}} {
		if m.wanted(root[0], name) {
			return root[1]
		}
	}
	switch {
	case f.link:
		return "linked"
	case f.section("Install"):
		return "disabled"
	}
	return "static"
}

// wanted says whether a .wants or .requires directory below root has the unit.
func (m *manager) wanted(root, name string) bool {
	n, err := m.h.tree.get(root, true)
	if err != nil {
		return false
	}
	for _, dir := range n.names() {
		if ext := path.Ext(dir); (ext == ".wants" || ext == ".requires") && n.children[dir].children[name] != nil {
			return true
		}
	}
	return false
}

// enabledUnits are what a boot starts, in order.
func (m *manager) enabledUnits() []string {
	var names []string
	for _, root := range []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"} {
		n, err := m.h.tree.get(root, true)
		if err != nil {
			continue
		}
		for _, dir := range n.names() {
			if path.Ext(dir) == ".wants" && n.children[dir].dir() {
				names = append(names, n.children[dir].names()...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// boot starts what is enabled, as if it had been up for some time.
func (m *manager) boot() {
	m.look()
	for _, name := range m.enabledUnits() {
		if u := m.find(name); u.load == "loaded" && u.active == "inactive" {
			u.start()
		}
	}
}

// Reboot takes the host down without ceremony, as a power cut does, and up again: connections break, /run is empty,
// the boot id is new, and the units that are enabled start.
func (h *Host) Reboot() { h.restart(true) }

// SoftReboot is systemctl soft-reboot: all processes end, but kernel, boot id and /run stay.
func (h *Host) SoftReboot() { h.restart(false) }

func (h *Host) restart(hard bool) {
	h.mu.Lock()
	m := h.systemd
	m.cancel(errReboot)
	h.mu.Unlock()
	h.server.drop()
	m.background.Wait()
	h.clock.turn.Lock()
	h.mu.Lock()
	h.wipe(hard)
	h.mu.Unlock()
	h.clock.turn.Unlock()
	h.clock.move(h.ctx, h.Uptime()+5*time.Second, false, nil)
}

func (h *Host) wipe(hard bool) {
	m, c := h.systemd, h.clock
	soft := m.soft + 1
	m.begin()
	h.locks = map[string]*process{}
	c.events, c.parked = nil, nil
	if hard {
		c.booted, c.up = c.wall(), 10*time.Second
		h.boot = h.uuid()
		delete(h.tree.root.children, "run")
		h.furnishRun()
	} else {
		m.soft = soft
	}
	h.logManager("Startup finished.")
	for _, p := range m.past {
		p.booting = true
	}
	m.boot()
	c.notify()
}
