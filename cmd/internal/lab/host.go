package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// bootTimeout is for a machine with two busy cores; a boot takes seconds.
const bootTimeout = 2 * time.Minute

// exitReboot is how nspawn ends, with --keep-unit, when the host reboots.
const exitReboot = 133

// Host is one Debian host with systemd and sshd. Its users are root, deploy
// (sudo without a password) and locked (sudo asks for one: "locked"). Its disk
// outlives a reboot and a power loss, and goes with the lab.
type Host struct {
	Name string
	Addr string // sshd listens on its port 22

	lab   *Lab
	index int
	dir   string

	mu     sync.Mutex
	power  bool          // guarded by mu; false: a reboot that is under way ends here
	nspawn *exec.Cmd     // guarded by mu; the latest of this power cycle
	gone   chan struct{} // guarded by mu; closed when there will be no other; nil: never booted
}

func newHost(l *Lab, index int, name string) *Host {
	return &Host{
		Name:  name,
		Addr:  l.net.address(index).String(),
		lab:   l,
		index: index,
		dir:   l.path(name),
	}
}

// create makes the host's disk and network, without booting it.
func (h *Host) create(ctx context.Context, image string, key clientKey) error {
	for _, dir := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(h.dir, dir), 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", image, h.dir, h.dir)
	if err := command("mount", "-t", "overlay", "overlay", "-o", options, h.Path("/")); err != nil {
		return err
	}
	if err := os.MkdirAll(h.cgroup(), 0o755); err != nil {
		return err
	}
	if err := h.writeIdentity(key); err != nil {
		return err
	}
	return h.lab.net.attach(ctx, h.index, h.machine())
}

// Boot starts the host on the disk it has and waits until systemd says that
// it is running.
func (h *Host) Boot() error { return h.boot(background()) }

func (h *Host) boot(ctx context.Context) error {
	if err := h.start(); err != nil {
		return fmt.Errorf("booting %s: %w", h.Name, err)
	}
	return h.waitUntilRunning(ctx, 0)
}

func (h *Host) start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running() {
		return errors.New("is running already")
	}
	cmd, err := h.launch()
	if err != nil {
		return err
	}
	h.nspawn, h.gone, h.power = cmd, make(chan struct{}), true
	go h.watch(cmd, h.gone)
	return nil
}

// launch starts nspawn once.
func (h *Host) launch() (*exec.Cmd, error) {
	console, err := os.OpenFile(h.console(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	group, err := os.Open(h.cgroup())
	if err != nil {
		return nil, err
	}
	defer group.Close()
	cmd := exec.Command("systemd-nspawn", "--quiet", "--boot",
		"--directory="+h.Path("/"), "--machine="+h.machine(), "--hostname="+h.Name,
		"--network-namespace-path="+namespacePath(h.machine()),
		"--register=no", "--keep-unit", "--settings=no", "--console=read-only",
		"--link-journal=no", "--resolv-conf=off", "--timezone=off")
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "SYSTEMD_NSPAWN_LOCK=0")
	cmd.Stdout, cmd.Stderr = console, console
	startInGroup(cmd, group)
	return cmd, cmd.Start()
}

// watch starts nspawn again when the host reboots, and closes gone when it has
// ended for another reason.
func (h *Host) watch(cmd *exec.Cmd, gone chan struct{}) {
	defer close(gone)
	for {
		_ = cmd.Wait() // killed or powered off: its end says it all
		h.mu.Lock()
		again := h.power && cmd.ProcessState.ExitCode() == exitReboot
		if again {
			next, err := h.launch()
			if again = err == nil; again {
				cmd, h.nspawn = next, next
			}
		}
		h.mu.Unlock()
		if !again {
			return
		}
	}
}

// running says whether nspawn is. The caller holds mu.
func (h *Host) running() bool {
	if h.gone == nil {
		return false
	}
	select {
	case <-h.gone:
		return false
	default:
		return true
	}
}

// waitUntilRunning waits for a boot other than the one whose init has the pid
// before.
func (h *Host) waitUntilRunning(ctx context.Context, before int) error {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	state := "no process yet"
	for {
		pid, err := h.leader()
		if err != nil && !errors.Is(err, errBooting) {
			return fmt.Errorf("booting %s: %w", h.Name, err)
		}
		if err == nil && pid != before {
			said, _ := output(h.enter(ctx, pid, "systemctl is-system-running --wait"))
			state = strings.TrimSpace(said)
		}
		switch state {
		case "running":
			return nil
		case "degraded", "maintenance":
			failed, _ := output(h.enter(ctx, pid, "systemctl --failed --no-legend --plain"))
			return fmt.Errorf("booting %s: %s\n%s", h.Name, state, failed)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("booting %s: %w, last state %q", h.Name, ctx.Err(), state)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// wait returns when nspawn has ended.
func (h *Host) wait() {
	h.mu.Lock()
	gone := h.gone
	h.mu.Unlock()
	if gone != nil {
		<-gone
	}
}

// machine is the host's name among all on this machine.
func (h *Host) machine() string { return h.lab.run.name() + "-" + h.Name }

func (h *Host) cgroup() string { return filepath.Join(h.lab.run.cgroup(), h.Name) }

func (h *Host) console() string { return filepath.Join(h.dir, "console.log") }
