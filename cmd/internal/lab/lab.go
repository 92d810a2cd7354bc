// Package lab boots real hosts for tests: Debian with systemd and sshd in
// systemd-nspawn, joined by a network that has no way out.
//
// A lab belongs to the process that opened it. Every name it takes on the
// machine carries its id, and a lock held for the life of the process says
// that it is in use, so labs run side by side and whatever a killed process
// left behind is removed by the next one that opens a lab.
//
// Hosts are reached from inside the lab's own network namespace only: by
// Lab.Exec for another program, by Lab.DialContext for code in this process.
package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// Spec says which hosts a lab has.
type Spec struct {
	Hosts []HostSpec
}

// HostSpec describes one host. The zero values of Suite and Image mean
// bookworm and base.
type HostSpec struct {
	Name  string
	Suite string // Debian release: bullseye, bookworm, trixie
	Image string // base, or whit: the WHIT application with Gunicorn and nginx
}

// Lab is a set of running hosts and the controller's place in their network.
type Lab struct {
	Hosts          []*Host
	KeyFile        string // private key that opens root, deploy and locked on every host
	KnownHostsFile string // the key of each host, by address

	run *run
	net network
}

// Start boots the hosts of the spec and removes them when the test ends. It
// calls Require first.
func Start(t testing.TB, spec Spec) *Lab {
	t.Helper()
	Require(t, spec.suites()...)
	lab, err := Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			lab.logConsoles(t)
		}
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	return lab
}

// Open boots the hosts of the spec, all at once, after building the images
// they need. Whoever opens a lab closes it.
func Open(ctx context.Context, spec Spec) (*Lab, error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	if err := raiseInotify(); err != nil {
		return nil, err
	}
	if err := store.removeDeadRuns(); err != nil {
		return nil, err
	}
	images, err := store.images(ctx, spec)
	if err != nil {
		return nil, err
	}
	run, err := store.newRun()
	if err != nil {
		return nil, err
	}
	lab := &Lab{run: run}
	if err := lab.open(ctx, spec, images); err != nil {
		return nil, errors.Join(fmt.Errorf("opening lab %s: %w", run.id, err), lab.Close())
	}
	return lab, nil
}

// raiseInotify makes room for hosts: each takes about eight inotify instances of root's 128, and one that gets none does
// not boot. It is the one thing that stays as it is when the lab is closed.
func raiseInotify() error {
	const limit, enough = "/proc/sys/fs/inotify/max_user_instances", 1024
	text, err := os.ReadFile(limit)
	if err != nil {
		return err
	}
	if now, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || now >= enough {
		return err
	}
	return os.WriteFile(limit, []byte(strconv.Itoa(enough)), 0)
}

func (l *Lab) open(ctx context.Context, spec Spec, images []string) error {
	l.net = network{namespace: l.run.name()}
	if err := l.net.create(ctx); err != nil {
		return err
	}
	key, err := l.writeClientKey()
	if err != nil {
		return err
	}
	for i, hs := range spec.Hosts {
		h := newHost(l, i, hs.Name)
		l.Hosts = append(l.Hosts, h)
		if err := h.create(ctx, images[i], key); err != nil {
			return fmt.Errorf("host %s: %w", h.Name, err)
		}
	}
	if err := l.writeKnownHosts(); err != nil {
		return err
	}
	var boots errgroup.Group
	for _, h := range l.Hosts {
		boots.Go(func() error { return h.boot(ctx) })
	}
	return boots.Wait()
}

// Close kills every host and removes what the lab put on the machine.
func (l *Lab) Close() error {
	var off errgroup.Group
	for _, h := range l.Hosts {
		off.Go(h.PowerOff)
	}
	return errors.Join(off.Wait(), l.run.remove())
}

// Host returns the host of that name, and panics when there is none: a test
// that asks for it is wrong.
func (l *Lab) Host(name string) *Host {
	for _, h := range l.Hosts {
		if h.Name == name {
			return h
		}
	}
	panic("lab: no host named " + name)
}

// Command is argv prepared to run in the controller's network namespace. The
// process that starts is argv itself, so killing it kills the controller.
func (l *Lab) Command(ctx context.Context, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.net.namespace}, argv...)...)
}

// Exec runs argv in the controller's network namespace and returns its
// standard output; the error carries what it said on standard error.
func (l *Lab) Exec(ctx context.Context, argv ...string) (string, error) {
	return output(l.Command(ctx, argv...))
}

// InventorySSH is the [ssh] part of an inventory for these hosts: the deploy
// user, the lab's key and known hosts, nothing from the person's own ssh
// configuration.
func (l *Lab) InventorySSH() string {
	return fmt.Sprintf(`[ssh]
user = "deploy"
identity_files = [%q]
known_hosts = [%q]
connect_timeout = "20s"
use_ssh_config = false
`, l.KeyFile, l.KnownHostsFile)
}

func (l *Lab) logConsoles(t testing.TB) {
	for _, h := range l.Hosts {
		text, err := os.ReadFile(h.console())
		if err != nil {
			t.Log(err)
			continue
		}
		t.Logf("console of %s, last lines:\n%s", h.Name, text[max(0, len(text)-4096):])
	}
}

func (s Spec) suites() []string {
	var suites []string
	for _, h := range s.Hosts {
		suites = append(suites, cmp.Or(h.Suite, defaultSuite))
	}
	return suites
}

func (l *Lab) path(name string) string { return filepath.Join(l.run.dir, name) }
