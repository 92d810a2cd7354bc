package sshtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Faults: each makes one step of the product fail in the way in which real hosts make it fail. Nothing of the
// product is told; it has to find out.

// faultSteps are the steps that Fail knows.
var faultSteps = [...]string{"lock", "log-setup", "health-check", "guard", "unit-copy", "reload", "start", "settle",
	"verify", "commit", "rollback"}

// Faults lists the steps that Fail knows, in the order in which a deployment comes to them.
func Faults() []string { return slices.Clone(faultSteps[:]) }

// Fail makes a step fail on this host from now on:
//
//	lock          another run holds the lease
//	log-setup     the disk is read-only below the log directory
//	health-check  commands of the person's own exit with 1
//	guard         systemd-run is refused
//	unit-copy     systemd-analyze refuses the unit
//	reload        daemon-reload is refused while a trial is in /run
//	start         the new unit's program is missing (203)
//	settle        the new unit's program dies 8 s after each start
//	verify        the new unit's program listens nowhere, and what else listens answers 502
//	commit        /etc/systemd/system takes no rename
//	rollback      as settle, and the old unit does not come back either
//
// start, settle and verify hit what is started from now on, but not a return to the unit that ran before; no fault hits
// that unit when the host boots.
func (h *Host) Fail(step string) error {
	if !slices.Contains(faultSteps[:], step) {
		return fmt.Errorf("no embedded host can fail at %q: it can at %s", step, strings.Join(faultSteps[:], ", "))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults[step] = true
	return nil
}

// Heal undoes Fail.
func (h *Host) Heal(step string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.faults, step)
}

// past is what a unit ran before, to tell a new release from a return to the old one.
type past struct {
	running  string // text of the last start
	base     string // text that ran when the first start after a fault came
	based    bool
	departed bool // something else than base has been started since
	booting  bool // the host has rebooted, and the boot's start comes next
}

func (m *manager) history(name string) *past {
	p := m.past[name]
	if p == nil {
		p = &past{}
		m.past[name] = p
	}
	return p
}

// behaviour is what the words of the unit's ExecStart say, and what the faults make of it.
func (u *unit) behaviour() behaviour {
	h := u.m.h
	b := u.file.behaviour(u.name, h.options.App)
	if u.isTransient() {
		b.listen = nil // the app is what the host's own units run
	}
	p := u.m.history(u.name)
	if !u.isTransient() && len(h.faults) > 0 {
		b = h.spoil(b, p, u.file.text)
	}
	p.running = u.file.text
	return b
}

func (h *Host) spoil(b behaviour, p *past, text string) behaviour {
	if !p.based {
		p.base, p.based = p.running, true
	}
	if text != p.base {
		p.departed = true
	}
	booted := p.booting && text == p.base
	p.booting = false
	returned := text == p.base && p.departed
	const dies = 8 * time.Second
	switch {
	case booted:
	case h.faults["rollback"] && returned:
		b.gone = true
	case returned:
	case h.faults["start"]:
		b.gone = true
	case h.faults["settle"] || h.faults["rollback"]:
		b.crash = dies
	case h.faults["verify"]:
		b.listen = nil
	}
	return b
}

// refuse is asked before each change of the file tree.
func (h *Host) refuse(op, path string) error {
	switch {
	case h.faults["commit"] && op == "rename" && inUnits(path) && !strings.HasPrefix(path, "/etc/systemd/system/."):
		return readOnly()
	case h.faults["log-setup"] && logDirectory(op, path):
		return readOnly()
	case h.full(path) && op == "write":
		return noSpace()
	}
	return nil
}

func inUnits(path string) bool { return strings.HasPrefix(path, "/etc/systemd/system/") }

// logDirectory says that a change is to a directory which is none of systemd's or of the product's own.
func logDirectory(op, path string) bool {
	if op != "mkdir" && op != "chown" && op != "chmod" {
		return false
	}
	for _, own := range []string{"/run/", "/var/lib/", "/etc/"} {
		if strings.HasPrefix(path, own) {
			return false
		}
	}
	return true
}

// full says whether the file system of a path has no space left, see Fill.
func (h *Host) full(path string) bool {
	for fault := range h.faults {
		if prefix, ok := strings.CutPrefix(fault, "full:"); ok && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// Fill makes writes below prefix fail for want of space, until Free.
func (h *Host) Fill(prefix string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults["full:"+prefix] = true
}

// Free undoes Fill.
func (h *Host) Free(prefix string) { h.Heal("full:" + prefix) }

func (h *Host) reloadRefused() error {
	const trial = "/run/systemd/system.control"
	n, err := h.tree.get(trial, true)
	if h.faults["reload"] && err == nil && len(n.children) > 0 || h.full("/run/systemd/") {
		return errors.New("Refusing to reload, not enough space available on /run/systemd.") //nolint:staticcheck // systemd's words
	}
	return nil
}

func (h *Host) runRefused() error {
	if h.faults["guard"] {
		return errors.New("Access denied") //nolint:staticcheck // systemd's words
	}
	return nil
}

func (h *Host) verifyRefused(name string) string {
	if h.faults["unit-copy"] {
		return "Command /usr/bin/" + strings.TrimSuffix(name, ".service") + " is not executable: No such file or directory"
	}
	return ""
}

func (h *Host) userCommandStatus([]string) int {
	if h.faults["health-check"] {
		return 1
	}
	return 0
}

// takeLease plays another run that holds the lease of the service whose lock is at path: its record, as the product
// writes it, with a deadline far away.
func (h *Host) takeLease(path string) {
	service, ok := strings.CutPrefix(path, "/var/lib/seatrial/")
	service, isLock := strings.CutSuffix(service, "/lock")
	if !h.faults["lock"] || !ok || !isLock {
		return
	}
	record := fmt.Sprintf("version=1\nstate=TRIAL\ntoken=0000000000000000\nboot=%s/%s\nrelease=other\nowner=somebody@elsewhere\nsince=%d\n",
		h.boot, h.softCount(), h.clock.wall().Unix())
	deadline := fmt.Sprintf("%d\n", int(h.clock.up.Seconds())+600)
	_ = h.tree.mkdirAll("/run/seatrial/"+service, 0o700, "root")
	_, _ = h.tree.write("/var/lib/seatrial/"+service+"/record", []byte(record), 0o600, "root")
	_, _ = h.tree.write("/run/seatrial/"+service+"/deadline", []byte(deadline), 0o600, "root")
}

func (h *Host) softCount() string {
	if h.options.Systemd < 254 {
		return ""
	}
	return itoa(h.systemd.soft)
}
