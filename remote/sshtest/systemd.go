package sshtest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
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
	m.units, m.transient = map[string]*unit{}, map[string]*unitFile{}
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
	entered     time.Duration // uptime at which it became active, 0: never
	starts      []time.Duration
	job         *job
	events      []*event // what the running program will do
	sockets     []*socket
	worker      *worker
	collect     bool
}

// job is start, stop or restart of one unit.
type job struct {
	id     int
	kind   string
	event  *event
	result string // "", done, failed, canceled
}

// find is the unit, loaded at its first mention.
func (m *manager) find(name string) *unit {
	if u := m.units[name]; u != nil && !u.forgotten() {
		return u
	}
	u := &unit{m: m, name: name, active: "inactive", sub: "dead", result: "success"}
	u.read()
	m.units[name] = u
	return u
}

// forgotten says that PID 1 would no longer hold the unit in memory.
func (u *unit) forgotten() bool {
	return u.active == "inactive" && u.job == nil && !strings.HasPrefix(u.fileState(), "enabled")
}

func (u *unit) read() {
	if f := u.m.transient[u.name]; f != nil {
		u.file, u.load = f, "loaded"
		return
	}
	u.file, u.load = u.m.h.tree.loadUnit(u.name)
}

// reload is daemon-reload.
func (m *manager) reload() {
	for name, u := range m.units {
		if u.forgotten() {
			delete(m.units, name)
			continue
		}
		u.read()
	}
	m.h.logManager("Reloading.")
}

// stale is NeedDaemonReload: a loaded file changed, or drop-ins came or went. A new file that would take
// precedence is not noticed, as in the real one.
func (u *unit) stale() bool {
	t := u.m.h.tree
	for where, stamp := range u.file.stamps {
		n, err := t.get(where, true)
		if err != nil || !n.modified.Equal(stamp) {
			return true
		}
	}
	return u.load == "loaded" && !u.isTransient() && !slices.Equal(u.file.dropIns, t.dropIns(u.name))
}

func (u *unit) isTransient() bool { return u.m.transient[u.name] != nil }

// fileState is UnitFileState.
func (u *unit) fileState() string {
	switch {
	case u.isTransient():
		return "transient"
	case u.load == "not-found":
		return ""
	case u.load == "masked":
		return "masked"
	}
	for _, root := range [][2]string{{"/etc/systemd/system", "enabled"}, {"/run/systemd/system", "enabled-runtime"}} {
		if u.m.wanted(root[0], u.name) {
			return root[1]
		}
	}
	switch {
	case u.file.link:
		return "linked"
	case u.file.section("Install"):
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

// enable makes the links that [Install] asks for.
func (m *manager) enable(name string) error {
	f, state := m.h.tree.loadUnit(name)
	switch state {
	case "not-found":
		return fmt.Errorf("Unit file %s does not exist.", name) //nolint:staticcheck // systemctl's words
	case "masked":
		return fmt.Errorf("Unit file %s is masked.", name) //nolint:staticcheck // systemctl's words
	}
	for _, wants := range [][2]string{{"WantedBy", ".wants"}, {"RequiredBy", ".requires"}} {
		for _, value := range f.values["Install."+wants[0]] {
			for target := range strings.FieldsSeq(value) {
				dir := "/etc/systemd/system/" + target + wants[1]
				if err := m.h.tree.mkdirAll(dir, 0o755, "root"); err != nil {
					return err
				}
				_ = m.h.tree.remove(dir+"/"+name, false)
				if err := m.h.tree.symlink(f.fragment, dir+"/"+name, "root"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// disable removes the unit's links.
func (m *manager) disable(name string) {
	for _, root := range []string{"/etc/systemd/system", "/run/systemd/system"} {
		n, err := m.h.tree.get(root, true)
		if err != nil {
			continue
		}
		for _, dir := range n.names() {
			if ext := path.Ext(dir); ext == ".wants" || ext == ".requires" {
				delete(n.children[dir].children, name)
			}
		}
	}
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
	m.boot()
	c.notify()
}
