package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func two(suite string) Spec {
	return Spec{Hosts: []HostSpec{{Name: "web-1", Suite: suite}, {Name: "web-2", Suite: suite}}}
}

// TestHosts walks one lab through what tests of the product do with it.
func TestHosts(t *testing.T) {
	l := Start(t, two(""))
	web1, web2 := l.Host("web-1"), l.Host("web-2")

	t.Run("systemd is running", func(t *testing.T) {
		for _, h := range l.Hosts {
			wantOutput(t, "running\n")(h.Sh("systemctl is-system-running"))
			wantOutput(t, h.Name+"\n")(h.Sh("hostname"))
			wantOutput(t, "active\n")(h.Sh("systemctl is-active ssh.service"))
		}
	})
	t.Run("a host knows only its own processes", func(t *testing.T) {
		sh(t, web1, "systemd-run --unit=only-here sleep 1000")
		if said, err := web2.Sh("systemctl is-active only-here.service || pgrep -x sleep"); err == nil {
			t.Errorf("web-2 sees a process of web-1: %s", said)
		}
		sh(t, web1, "systemctl stop only-here.service")
	})
	t.Run("a script that was stopped goes on", func(t *testing.T) { // a soft reboot stops all processes
		wantOutput(t, "awake\n")(web1.Sh("kill -STOP $$; echo awake"))
	})
	t.Run("identities differ", func(t *testing.T) {
		for _, path := range []string{"/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/proc/sys/kernel/random/boot_id"} {
			if sh(t, web1, "cat "+path) == sh(t, web2, "cat "+path) {
				t.Errorf("both hosts have the same %s", path)
			}
		}
	})
	t.Run("ssh lets the users in", func(t *testing.T) {
		for _, h := range l.Hosts {
			wantOutput(t, "0\n")(overSSH(t, l, h, "root", "id -u"))
			wantOutput(t, "0\n")(overSSH(t, l, h, "deploy", "sudo -n id -u"))
			wantOutput(t, "locked\n")(overSSH(t, l, h, "locked", "id -un"))
			if _, err := overSSH(t, l, h, "locked", "sudo -n id -u"); err == nil {
				t.Error("locked became root without a password")
			}
		}
	})
	t.Run("another program comes in from the controller's place", func(t *testing.T) {
		wantOutput(t, "web-1\n")(l.Exec(t.Context(), "ssh", "-F", "none", "-i", l.KeyFile, "-o", "BatchMode=yes",
			"-o", "UserKnownHostsFile="+l.KnownHostsFile, "-o", "StrictHostKeyChecking=yes", "deploy@"+web1.Addr, "hostname"))
	})
	t.Run("there is no way out", func(t *testing.T) {
		wantOutput(t, "")(l.Exec(t.Context(), "ip", "route", "show", "default"))
		wantOutput(t, "")(web1.Sh("ip route show default"))
		if conn, err := l.DialContext(t.Context(), "tcp", "192.0.2.1:22"); err == nil {
			conn.Close()
			t.Error("the lab reached an address outside")
		}
	})
	t.Run("files", func(t *testing.T) { testFiles(t, web1) })
	t.Run("disk", func(t *testing.T) { testDisk(t, web1) })
	t.Run("cut network", func(t *testing.T) { testCutNetwork(t, l) })
	t.Run("reboot", func(t *testing.T) { testReboot(t, l, web1) })
	t.Run("power loss", func(t *testing.T) { testPowerLoss(t, l, web1) })
}

func testFiles(t *testing.T, h *Host) {
	for _, path := range []string{"/etc/systemd/system/put.service", "/run/put/deep/file"} {
		if err := h.Put(path, "it's $(here)\n", 0o640); err != nil {
			t.Fatal(err)
		}
		wantOutput(t, "it's $(here)\n")(h.Sh("cat " + path))
		wantOutput(t, "640 root root\n")(h.Sh("stat -c '%a %U %G' " + path))
	}
	if _, err := os.Stat(h.Path("/etc/systemd/system/put.service")); err != nil {
		t.Error(err)
	}
	sh(t, h, "ln -s /etc /root/away")
	if err := h.Put("/root/away/seatrial-must-not-be-here", "", 0o600); err == nil {
		t.Error("a link in the host led Put out of it")
	}
}

func testDisk(t *testing.T, h *Host) {
	const dir = "/etc/systemd/system"
	const write = `cp /etc/hostname /etc/systemd/system/new.service`
	before := sh(t, h, "ls "+dir)
	for _, fault := range []struct {
		name        string
		begin, over func(string) error
		complaint   string
	}{
		{"full", h.FillDisk, h.FreeDisk, "No space left on device"},
		{"read-only", h.MakeReadOnly, h.MakeWritable, "Read-only file system"},
	} {
		if err := fault.begin(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Sh(write); err == nil || !strings.Contains(err.Error(), fault.complaint) {
			t.Errorf("%s: writing says %v", fault.name, err)
		}
		if err := fault.over(dir); err != nil {
			t.Fatal(err)
		}
		sh(t, h, write+"; rm /etc/systemd/system/new.service")
		wantOutput(t, before)(h.Sh("ls " + dir))
	}
}

func testCutNetwork(t *testing.T, l *Lab) {
	web1, web2 := l.Hosts[0], l.Hosts[1]
	conn := greeted(t, l, web1)
	if err := web1.CutNetwork(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if conn, err := l.DialContext(ctx, "tcp", web1.Addr+":22"); err == nil {
		conn.Close()
		t.Error("a host without network was reached")
	}
	greeted(t, l, web2)
	wantOutput(t, "running\n")(web1.Sh("systemctl is-system-running"))
	if err := web1.RestoreNetwork(); err != nil {
		t.Fatal(err)
	}
	// The connection of before was cut, not closed.
	if _, err := io.WriteString(conn, "SSH-2.0-lab\r\n"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 16)); err != nil {
		t.Error(err)
	}
}

func testReboot(t *testing.T, l *Lab, h *Host) {
	before := sh(t, h, "cat /proc/sys/kernel/random/boot_id; touch /var/lib/kept /run/lost")
	identity := sh(t, h, "cat /etc/machine-id")
	if err := h.Reboot(); err != nil {
		t.Fatal(err)
	}
	if sh(t, h, "cat /proc/sys/kernel/random/boot_id") == before {
		t.Error("the same boot id after a reboot")
	}
	wantOutput(t, identity)(h.Sh("test -e /var/lib/kept && ! test -e /run/lost && cat /etc/machine-id"))
	greeted(t, l, h)
}

func testPowerLoss(t *testing.T, l *Lab, h *Host) {
	sh(t, h, "touch /var/lib/kept; systemd-run --property='ExecStop=touch /var/lib/stopped-in-order' sleep 1000")
	if err := h.PowerOff(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Sh("true"); err == nil {
		t.Error("a host without power ran a script")
	}
	if err := h.Put("/etc/put-while-off", "", 0o644); err != nil {
		t.Error(err)
	}
	if err := h.Boot(); err != nil {
		t.Fatal(err)
	}
	sh(t, h, "test -e /var/lib/kept && test -e /etc/put-while-off && ! test -e /var/lib/stopped-in-order")
	greeted(t, l, h)
	if err := h.Boot(); err == nil {
		t.Error("a running host was booted again")
	}
}

// TestSuites boots the oldest and the newest Debian beside each other.
func TestSuites(t *testing.T) {
	l := Start(t, Spec{Hosts: []HostSpec{{Name: "old", Suite: "bullseye"}, {Name: "new", Suite: "trixie"}}})
	for name, version := range map[string]string{"old": "systemd 247 ", "new": "systemd 257 "} {
		if said := sh(t, l.Host(name), "systemctl --version"); !strings.HasPrefix(said, version) {
			t.Errorf("%s: %.40s, want %s", name, said, version)
		}
		wantOutput(t, "0\n")(overSSH(t, l, l.Host(name), "deploy", "sudo -n id -u"))
	}
}

// TestWhit runs the WHIT application as its unit will, and asks it how it is.
func TestWhit(t *testing.T) {
	l := Start(t, Spec{Hosts: []HostSpec{{Name: "web-1", Image: "whit"}}})
	h := l.Hosts[0]
	sh(t, h, `test ! -e /var/log/gunicorn
		cd /var/www/whit/backend && test -f .env && test -x venv/bin/gunicorn && test "$(stat -c %U:%G db.sqlite3)" = www-data:www-data
		exec setpriv --reuid=www-data --regid=www-data --init-groups ./venv/bin/python manage.py check --deploy --fail-level WARNING`)
	sh(t, h, "cd /var/www/whit/backend && ./venv/bin/python manage.py migrate --check")
	sh(t, h, `systemd-run --uid=www-data --property=Type=notify --setenv=DJANGO_SETTINGS_MODULE=whit.settings \
		--working-directory=/var/www/whit/backend /var/www/whit/backend/venv/bin/gunicorn --bind 127.0.0.1:8003 whit.wsgi:application`)
	if said := sh(t, h, "curl -fsS --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:8003/healthz/"); !strings.Contains(said, `"ok": true`) {
		t.Errorf("/healthz/ says %q", said)
	}
}

// TestImages builds every image that tests ask for, so that whoever runs it
// first, as .ci/run does, has the downloads behind them.
func TestImages(t *testing.T) {
	suites := []string{"bookworm", "bullseye", "trixie"}
	Require(t, suites...)
	store, err := openStore()
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Hosts: []HostSpec{{Image: "whit"}}}
	for _, suite := range suites {
		spec.Hosts = append(spec.Hosts, HostSpec{Suite: suite})
	}
	if _, err := store.images(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
}

// TestTwoLabs runs two labs whose hosts have the same names and addresses.
func TestTwoLabs(t *testing.T) {
	spec := Spec{Hosts: []HostSpec{{Name: "web-1"}}}
	one, two := Start(t, spec), Start(t, spec)
	sh(t, one.Hosts[0], "echo one >/etc/which")
	sh(t, two.Hosts[0], "echo two >/etc/which")
	wantOutput(t, "one\n")(overSSH(t, one, one.Hosts[0], "root", "cat /etc/which"))
	wantOutput(t, "two\n")(overSSH(t, two, two.Hosts[0], "root", "cat /etc/which"))
	if err := one.Hosts[0].CutNetwork(); err != nil {
		t.Fatal(err)
	}
	greeted(t, two, two.Hosts[0])
}

func TestCloseLeavesNothing(t *testing.T) {
	Require(t)
	l, err := Open(t.Context(), two(""))
	if err != nil {
		t.Fatal(err)
	}
	controller := l.Command(context.Background(), "sleep", "1000")
	if err := controller.Start(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := controller.Wait(); err == nil {
		t.Error("a program in the controller's place outlived the lab")
	}
	wantNoTraces(t, l.run)
}

func TestOpenThatFailsLeavesNothing(t *testing.T) {
	Require(t)
	_, err := Open(t.Context(), Spec{Hosts: []HostSpec{{Name: "twice"}, {Name: "twice"}}})
	if err == nil {
		t.Fatal("two hosts of the same name were booted")
	}
	id := strings.Fields(strings.TrimPrefix(err.Error(), "opening lab "))[0]
	store, err := openStore()
	if err != nil {
		t.Fatal(err)
	}
	wantNoTraces(t, &run{id: strings.TrimSuffix(id, ":"), dir: filepath.Join(store.dir, "runs", id)})
}

// TestDeadRunIsRemoved kills a process that has a lab, then opens another one.
func TestDeadRunIsRemoved(t *testing.T) {
	Require(t)
	if os.Getenv("SEATRIAL_LAB_TEST_CHILD") != "" {
		l := Start(t, two(""))
		os.Stdout.WriteString("lab " + l.run.id + "\n")
		select {}
	}
	child := exec.Command(os.Args[0], "-test.run=^TestDeadRunIsRemoved$")
	child.Env = append(os.Environ(), "SEATRIAL_LAB_TEST_CHILD=1")
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("lab 01234567\n"))
	_, readErr := io.ReadFull(stdout, line)
	store, storeErr := openStore()
	id := strings.Fields(string(line) + " unknown unknown")[1]
	dead := &run{id: id, dir: filepath.Join(store.dir, "runs", id)}
	_, bootErr := os.Stat(dead.cgroup())
	killErr := child.Process.Kill()
	_ = child.Wait()
	if err := errors.Join(readErr, storeErr, bootErr, killErr); err != nil {
		t.Fatalf("the process that was to leave hosts behind: %v", err)
	}

	alive := Start(t, Spec{Hosts: []HostSpec{{Name: "other"}}})
	wantNoTraces(t, dead)

	if err := store.removeDeadRuns(); err != nil {
		t.Fatal(err)
	}
	wantOutput(t, "running\n")(alive.Hosts[0].Sh("systemctl is-system-running"))
}

func wantNoTraces(t *testing.T, r *run) {
	t.Helper()
	for _, pattern := range []string{r.dir, r.cgroup(), namespacePath(r.name()) + "*", "/run/systemd/nspawn/*/" + r.name() + "*"} {
		if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
	if mounts, err := mountsBelow(r.dir); err != nil || len(mounts) > 0 {
		t.Errorf("still mounted: %v %v", mounts, err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		// A process may end while we look; then it is not left behind.
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), r.name()) {
			t.Errorf("still running: %q", text)
		}
	}
}

// overSSH runs a command on a host as a user, through the lab's DialContext.
func overSSH(t *testing.T, l *Lab, h *Host, user, command string) (string, error) {
	t.Helper()
	key, err := os.ReadFile(l.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	known, err := knownhosts.New(l.KnownHostsFile)
	if err != nil {
		t.Fatal(err)
	}
	address := h.Addr + ":22"
	conn, err := l.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c, chans, reqs, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: known,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := ssh.NewClient(c, chans, reqs)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	said, err := session.Output(command)
	return string(said), err
}

// greeted connects to a host's sshd and reads the start of its greeting.
func greeted(t *testing.T, l *Lab, h *Host) net.Conn {
	t.Helper()
	conn, err := l.DialContext(t.Context(), "tcp", h.Addr+":22")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	greeting := make([]byte, len("SSH-2.0-"))
	if _, err := io.ReadFull(conn, greeting); err != nil || string(greeting) != "SSH-2.0-" {
		t.Fatalf("%s greets with %q, %v", h.Name, greeting, err)
	}
	return conn
}

func sh(t *testing.T, h *Host, script string) string {
	t.Helper()
	said, err := h.Sh(script)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func wantOutput(t *testing.T, want string) func(string, error) {
	t.Helper()
	return func(got string, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

// BenchmarkThreeHosts is how long a test waits for three hosts and their removal.
func BenchmarkThreeHosts(b *testing.B) {
	Require(b, defaultSuite)
	for b.Loop() {
		l, err := Open(b.Context(), Spec{Hosts: []HostSpec{{Name: "web-1"}, {Name: "web-2"}, {Name: "web-3"}}})
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
