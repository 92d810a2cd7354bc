package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/seatrial/seatrial/remote/sshtest"
)

// confirm = true: the preview is shown and the question asked on a terminal. Nothing is changed without a clear yes.
func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		name, typed string
		code        int
		last        string
	}{
		{"yes", "yes\n", 0, "deployed"},
		{"no", "no\n", 1, "aborted, no changes made to staging"},
		{"nothing", "\n", 1, "aborted, no changes made to staging"},
		{"another word", "yellow\n", 1, "aborted, no changes made to staging"},
		{"end of input", "\x04", 1, "aborted, no changes made to staging"},
		{"Ctrl-C", "\x03", 130, "aborted, no changes made to staging"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.goOn() // verify need not wait
			s.confirm()
			d := s.dialog("deploy", "staging", "--no-color")
			d.asked("deploy on 1 host of staging? [y/N] ")
			if text := d.said.String(); !strings.Contains(text, "+ExecStart=/srv/app --listen=127.0.0.1:8080 --new") {
				t.Errorf("asked without the preview:\n%s", text)
			}
			d.answer(test.typed, test.code)
			if text := d.said.String(); !strings.Contains(text, test.last) {
				t.Errorf("%q is not said:\n%s", test.last, text)
			}
			if test.code == 0 {
				s.runs(newApp)
				return
			}
			s.runs(oldApp)
			if left := s.host.List("/var/lib/seatrial/."); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A host that is away and may be skipped is no reason not to ask, and is none of the hosts that are counted.
func TestConfirmWithAHostAway(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.goOn()
	s.confirm()
	s.more("[[environments.staging.hosts]]\nname = \"web-2\"\naddress = \"127.0.0.1:1\"\n" +
		"[environments.staging.rollout]\nunreachable = \"skip\"\n")
	d := s.dialog("deploy", "staging", "--no-color")
	d.asked("deploy on 1 host of staging? [y/N] ")
	d.answer("no\n", 1)
	s.runs(oldApp)
}

// The question counts the hosts of the run: those of the service, not all of the environment.
func TestConfirmCountsHosts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.confirm()
	key, err := ssh.ParsePrivateKey(s.host.ClientKeyPEM())
	if err != nil {
		t.Fatal(err)
	}
	second, err := sshtest.New("web-2", sshtest.Options{AuthorizedKey: key.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Close() })
	s.more(fmt.Sprintf("services = [\"app\"]\n[[environments.staging.hosts]]\nname = \"web-2\"\naddress = %q\nhost_key = %q\n[services.more]\nunit = \"more.service\"\n",
		second.Addr(), ssh.FingerprintSHA256(second.HostKey())))
	s.file("more.service", newApp)
	for _, test := range []struct{ service, question string }{
		{"app", "deploy on 2 hosts of staging? [y/N] "},
		{"more", "deploy on 1 host of staging? [y/N] "},
	} {
		d := s.dialog("deploy", "staging", "--service", test.service)
		d.asked(test.question)
		d.answer("no\n", 1)
	}
	s.runs(oldApp)
}

// A saved plan has been agreed to: on a terminal too it asks nothing.
func TestSavedPlanIsNotConfirmed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.goOn()
	s.confirm()
	if out, err := s.command("plan", "staging", "--out", "staging.plan").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := s.dialog("deploy", "--plan", "staging.plan")
	d.answer("", 0)
	if strings.Contains(d.said.String(), "[y/N]") {
		t.Errorf("asked:\n%s", d.said)
	}
	s.runs(newApp)
}

// A confirmation is a person's: what comes through a pipe is none.
func TestConfirmNeedsATerminal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.confirm()
	c, said := s.command("deploy", "staging"), &output{}
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader("yes\n"), said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s.ends(c, said, 1)
	if !strings.Contains(said.String(), "hint: seatrial deploy staging --yes") {
		t.Errorf("said:\n%s", said)
	}
	s.runs(oldApp)
}

func (s *stage) confirm() {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "inventory.toml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.file("inventory.toml", strings.Replace(string(text), "[[environments", "[environments.staging]\nconfirm = true\n[[environments", 1))
}

// more is appended to the inventory.
func (s *stage) more(text string) {
	s.t.Helper()
	all, err := os.ReadFile(filepath.Join(s.dir, "inventory.toml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.file("inventory.toml", string(all)+text)
}

// dialog is the program on a terminal of its own.
type dialog struct {
	s     *stage
	c     *exec.Cmd
	said  *output
	near  *os.File
	ended chan struct{} // nobody has the terminal any more
}

func (s *stage) dialog(args ...string) *dialog {
	s.t.Helper()
	near, far := openTerminal(s.t)
	d := &dialog{s: s, c: s.command(args...), said: &output{}, near: near, ended: make(chan struct{})}
	d.c.Stdin, d.c.Stdout, d.c.Stderr = far, far, far
	d.c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := d.c.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = far.Close()
	go func() {
		defer close(d.ended)
		_, _ = io.Copy(d.said, near)
	}()
	return d
}

// asked waits for a question, and wants it to be this one.
func (d *dialog) asked(question string) {
	d.s.t.Helper()
	for !strings.Contains(d.said.String(), "[y/N] ") {
		select {
		case <-d.ended:
			_ = d.c.Wait()
			d.s.t.Fatalf("ended without asking %q:\n%s", question, d.said)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if !strings.Contains(d.said.String(), question) {
		_ = d.c.Process.Kill()
		d.s.t.Fatalf("asked something else than %q:\n%s", question, d.said)
	}
}

// answer types, and waits for the end.
func (d *dialog) answer(typed string, code int) {
	d.s.t.Helper()
	if _, err := d.near.WriteString(typed); err != nil {
		d.s.t.Fatal(err)
	}
	d.s.ends(d.c, d.said, code)
	<-d.ended
	_ = d.near.Close()
}
