package lab

import (
	"fmt"
	"strings"
	"time"
)

// PowerOff is a loss of power: every process of the host is gone at once and
// nothing is stopped in order. The disk stays as it was.
func (h *Host) PowerOff() error {
	h.mu.Lock()
	h.power = false
	h.mu.Unlock()
	err := killGroup(h.cgroup())
	h.wait()
	return err
}

// Reboot reboots the host in good order, as root would, and waits until it is
// running again.
func (h *Host) Reboot() error {
	pid, err := h.leader()
	if err != nil {
		return fmt.Errorf("rebooting %s: %w", h.Name, err)
	}
	if _, err := output(h.enter(background(), pid, "systemctl reboot --no-block")); err != nil {
		return fmt.Errorf("rebooting %s: %w", h.Name, err)
	}
	return h.waitUntilRunning(background(), pid)
}

// SoftReboot lets systemd (254 or later) start the host's userspace anew, and
// waits until it is running again. The kernel stays, and so does /run.
func (h *Host) SoftReboot() error {
	const count = "timeout 5 systemctl show --value -p SoftRebootsCount"
	before, err := h.Sh(count + "; systemctl soft-reboot --no-block")
	if err != nil {
		return fmt.Errorf("soft-rebooting %s: %w", h.Name, err)
	}
	var said string
	for deadline := time.Now().Add(bootTimeout); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if said, err = h.Sh(count + "; timeout 5 systemctl is-system-running"); err == nil && !strings.HasPrefix(said, before) {
			return nil
		}
	}
	return fmt.Errorf("soft-rebooting %s: %w: %s", h.Name, err, said)
}

// CutNetwork pulls the host's cable: packets vanish in both directions and
// nobody is told.
func (h *Host) CutNetwork() error { return h.lab.net.setPort(h.index, "down") }

// RestoreNetwork puts the cable back.
func (h *Host) RestoreNetwork() error { return h.lab.net.setPort(h.index, "up") }

// FillDisk makes a directory of the running host a file system of its own,
// with the content it has and not a byte free. FreeDisk gives room again; a
// reboot brings back the directory as it was before.
func (h *Host) FillDisk(dir string) error {
	_, err := h.Sh(`set -e
		small=$(mktemp -d)
		mount -t tmpfs -o "size=$(($(du -sk "$1" | cut -f1) + 1024))k,mode=$(stat -c %a "$1")" seatrial-lab "$small"
		cp -a "$1/." "$small"
		mount --bind "$small" "$1"
		umount "$small"
		rmdir "$small"
		! cat /dev/zero >"$1/.ballast" 2>/dev/null`, dir)
	return err
}

// FreeDisk makes room in a directory that FillDisk filled.
func (h *Host) FreeDisk(dir string) error {
	_, err := h.Sh(`rm "$1/.ballast"`, dir)
	return err
}

// MakeReadOnly makes a directory of the running host read-only, for root too,
// as a file system with errors is. MakeWritable and a reboot undo it.
func (h *Host) MakeReadOnly(dir string) error {
	_, err := h.Sh(`mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"`, dir)
	return err
}

// MakeWritable undoes MakeReadOnly.
func (h *Host) MakeWritable(dir string) error {
	_, err := h.Sh(`umount "$1"`, dir)
	return err
}
