//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/seatrial/seatrial/remote/sshtest"
)

const (
	oldApp = "[Service]\nExecStart=/srv/app --listen=127.0.0.1:8080\n"
	newApp = "[Service]\nExecStart=/srv/app --listen=127.0.0.1:8080 --new\n"
)

// stage is the program as a process of its own, in front of an embedded host: the deploy waits in verify until it is let go.
type stage struct {
	t     *testing.T
	host  *sshtest.Host
	line  *line
	dir   string
	asked chan struct{} // verify has begun
	let   chan struct{} // verify may end
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, dir: t.TempDir(), asked: make(chan struct{}), let: make(chan struct{})}
	var once sync.Once
	host, err := sshtest.New("web-1", sshtest.Options{HTTP: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(s.asked) })
		<-s.let
	})})
	if err != nil {
		t.Fatal(err)
	}
	s.host, s.line = host, newLine(t, host.Addr())
	t.Cleanup(func() { s.goOn(); s.line.close(); _ = host.Close() })
	if err := host.WriteFile("/etc/systemd/system/app.service", []byte(oldApp), 0o644, "root", "root"); err != nil {
		t.Fatal(err)
	}
	host.DaemonReload()
	if err := host.StartUnit("app.service"); err != nil {
		t.Fatal(err)
	}
	s.file("key", string(host.ClientKeyPEM()))
	s.file("app.service", newApp)
	s.file("inventory.toml", fmt.Sprintf(`ssh = { user = "deploy", identity_files = ["key"], use_ssh_config = false }
[services.app]
unit = "app.service"
settle = { window = "2s", allow_short = true }
verify = { timeout = "5m", http = [{ url = "http://127.0.0.1:8080/" }] }
[[environments.staging.hosts]]
name = "web-1"
address = %q
host_key = %q
`, s.line.listener.Addr(), ssh.FingerprintSHA256(host.HostKey())))
	return s
}

func (s *stage) file(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) goOn() {
	select {
	case <-s.let:
	default:
		close(s.let)
	}
}

// command runs the program with a state directory of its own.
func (s *stage) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	s.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, raced(s.t), args...)
	c.Dir, c.Env = s.dir, append(os.Environ(), "HOME="+s.dir, "XDG_STATE_HOME="+s.dir, "SSH_AUTH_SOCK=")
	return c
}

// deploy starts a deploy and returns when it is in verify.
func (s *stage) deploy(change func(*exec.Cmd)) (*exec.Cmd, *output) {
	s.t.Helper()
	c, said := s.command("deploy", "staging"), &output{}
	c.Stdout, c.Stderr = said, said
	if change != nil {
		change(c)
	}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	s.t.Cleanup(func() { close(ended) })
	select {
	case <-s.asked:
	case <-s.t.Context().Done():
	case <-time.After(2 * time.Minute):
		_ = c.Process.Kill()
		_ = c.Wait()
		s.t.Fatalf("the deploy did not come to verify:\n%s", said)
	}
	return c, said
}

func (s *stage) signal(c *exec.Cmd, sig os.Signal) {
	s.t.Helper()
	if err := c.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) ends(c *exec.Cmd, said *output, code int) {
	s.t.Helper()
	_ = c.Wait()
	if got := c.ProcessState.ExitCode(); got != code {
		s.t.Errorf("%s, want exit code %d\n%s", c.ProcessState, code, said)
	}
}

// runs wants the host to have exactly this unit, running, and nothing left of a transaction.
func (s *stage) runs(text string) {
	s.t.Helper()
	got, err := s.host.ReadFile("/etc/systemd/system/app.service")
	if u := s.host.Unit("app.service"); err != nil || string(got) != text || u.Active != "active" || u.Running != text {
		s.t.Errorf("app.service is %s and runs %q; installed is %q, %v", u.Active, u.Running, got, err)
	}
	left := append(s.host.List("/run/systemd/system.control/"), s.host.List("/etc/systemd/system/.")...)
	if left = append(left, s.host.List("/run/seatrial/")...); len(left) > 0 {
		s.t.Errorf("left behind: %v", left)
	}
}

// output is what a process has said so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// until waits for words.
func (o *output) until(t *testing.T, words string) {
	t.Helper()
	for range 12000 {
		if strings.Contains(o.String(), words) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not said: %q\n%s", words, o)
}

// line is the network in front of a host: it can go dead without anybody being told.
type line struct {
	listener net.Listener
	wait     sync.WaitGroup
	mu       sync.Mutex
	dead     bool
	conns    []net.Conn
}

func newLine(t *testing.T, to string) *line {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener}
	l.wait.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, near, far)
			l.mu.Unlock()
			l.wait.Go(func() { l.carry(far, near) })
			l.wait.Go(func() { l.carry(near, far) })
		}
	})
	return l
}

func (l *line) carry(to, from net.Conn) {
	_, _ = io.Copy(lineWriter{l, to}, from)
	_ = to.Close()
}

type lineWriter struct {
	*line
	to net.Conn
}

// Write loses what is sent on a dead line.
func (w lineWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	dead := w.dead
	w.mu.Unlock()
	if dead {
		return len(b), nil
	}
	return w.to.Write(b)
}

func (l *line) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
}

func (l *line) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.wait.Wait()
}

// Whichever way a run is called off, its hosts go back, it says so, and a resume has nothing to do.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			c, said := s.deploy(nil)
			s.signal(c, sig)
			s.ends(c, said, 130)
			s.runs(oldApp)
			for _, want := range []string{"interrupted: touched hosts are being rolled back", "rolled-back      web-1"} {
				if !strings.Contains(said.String(), want) {
					t.Errorf("not said: %q\n%s", want, said)
				}
			}
			if out, err := s.command("resume").CombinedOutput(); err != nil || !strings.Contains(string(out), "nothing to resume") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// The second interrupt leaves at once, and says which host is in trial and by when it is back; the guard keeps that word,
// and resume finds it so.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, said := s.deploy(nil)
	s.line.die() // or the host would be back before the second
	s.signal(c, syscall.SIGINT)
	said.until(t, "interrupt again to leave at once")
	s.signal(c, syscall.SIGINT)
	s.ends(c, said, 130)
	if want := "in trial, and they begin to go back to the old release by themselves within 1m0s: web-1"; !strings.Contains(said.String(), want) {
		t.Errorf("not said: %q\n%s", want, said)
	}
	if running := s.host.Unit("app.service").Running; running != newApp {
		t.Errorf("the trial does not run: %q", running)
	}
	s.line.close()
	s.host.Advance(2 * time.Minute)
	s.runs(oldApp)
}

// A run that is alive is not resumed. One that was killed is, and the host goes back.
func TestKilledAndResumed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, said := s.deploy(nil)
	resume := func(code int, want string) {
		t.Helper()
		r := s.command("resume")
		out, _ := r.CombinedOutput()
		if got := r.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), want) {
			t.Errorf("resume: exit code %d, want %d and %q\n%s", got, code, want, out)
		}
	}
	resume(1, "the run is still under way")
	s.signal(c, syscall.SIGKILL)
	s.ends(c, said, -1)
	resume(3, "rolled-back      web-1")
	s.runs(oldApp)
	resume(0, "nothing to resume")
}

// Whoever read what a run says has gone: it is called off, as by an interrupt.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *exec.Cmd, to *os.File){
		"stdout, with JSON": func(c *exec.Cmd, to *os.File) { c.Stdout, c.Args = to, append(c.Args, "--json") },
		"stdout and stderr": func(c *exec.Cmd, to *os.File) { c.Stdout, c.Stderr, c.Args = to, to, append(c.Args, "-v") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t) // its deploy does not come beyond verify
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			c, said := s.command("deploy", "staging"), &output{}
			c.Stdout, c.Stderr = said, said
			change(c, w)
			if err := errors.Join(c.Start(), w.Close()); err != nil {
				t.Fatal(err)
			}
			for lines := bufio.NewScanner(r); lines.Scan() && !strings.Contains(lines.Text(), "reload"); {
			}
			_ = r.Close()
			s.ends(c, said, 130)
			s.runs(oldApp)
			if out, err := s.command("resume").CombinedOutput(); err != nil || !strings.Contains(string(out), "nothing to resume") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// What is not written to is not broken: without a reader of its report, or without any stream, a deploy goes on to its end.
func TestClosedStreams(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *exec.Cmd){
		"nobody waits for the report": func(t *testing.T, c *exec.Cmd) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Close()
			t.Cleanup(func() { _ = w.Close() })
			c.Stdout = w
		},
		"all are closed": func(_ *testing.T, c *exec.Cmd) {
			c.Args = append([]string{"sh", "-c", `exec "$0" "$@" <&- >&- 2>&-`, c.Path}, c.Args[1:]...)
			c.Path = "/bin/sh"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			c, said := s.deploy(func(c *exec.Cmd) { change(t, c) })
			s.goOn()
			s.ends(c, said, 0)
			s.runs(newApp)
		})
	}
}

// Under nohup the end of the terminal is no reason to stop.
func TestNohup(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c, said := s.deploy(func(c *exec.Cmd) {
		c.Args = append([]string{"sh", "-c", `trap '' HUP; exec "$0" "$@"`, c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
	})
	s.signal(c, syscall.SIGHUP)
	s.goOn()
	s.ends(c, said, 0)
	s.runs(newApp)
}
