package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// confirm = true: the preview is shown and the question asked on a terminal. Nothing is changed without a clear yes.
func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		name, typed string
		code        int
		last        string
	}{
		{"yes", "yes\n", 0, "deployed"},
		{"no", "no\n", 1, "aborted, no changes made"},
		{"nothing", "\n", 1, "aborted, no changes made"},
		{"another word", "yellow\n", 1, "aborted, no changes made"},
		{"end of input", "\x04", 1, "aborted, no changes made"},
		{"Ctrl-C", "\x03", 130, "aborted, no changes made"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.goOn() // verify need not wait
			s.confirm()
			near, far := openTerminal(t)
			c, said := s.command("deploy", "staging", "--no-color"), &output{}
			c.Stdin, c.Stdout, c.Stderr = far, far, far
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			read := make(chan struct{})
			go func() {
				defer close(read)
				buffer := make([]byte, 4096)
				for {
					n, err := near.Read(buffer)
					_, _ = said.Write(buffer[:n])
					if err != nil {
						return // nobody has the other end any more
					}
				}
			}()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			said.until(t, "deploy on 1 host of staging? [y/N] ")
			if text := said.String(); !strings.Contains(text, "+ExecStart=/srv/app --listen=127.0.0.1:8080 --new") {
				t.Errorf("asked without the preview:\n%s", text)
			}
			if _, err := near.WriteString(test.typed); err != nil {
				t.Fatal(err)
			}
			_ = far.Close()
			s.ends(c, said, test.code)
			<-read
			_ = near.Close()
			if text := said.String(); !strings.Contains(text, test.last) {
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
