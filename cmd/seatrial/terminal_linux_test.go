package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The window is closed: no stream works any more, and the kernel says so to whoever the terminal controlled.
func TestClosedTerminal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	near, far := openTerminal(t)
	c, _ := s.deploy(func(c *exec.Cmd) {
		c.Stdin, c.Stdout, c.Stderr = far, far, far
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	if err := errors.Join(far.Close(), near.Close()); err != nil {
		t.Fatal(err)
	}
	s.ends(c, &output{}, 130)
	s.runs(oldApp)
	if out, err := s.command("resume").CombinedOutput(); err != nil || !strings.Contains(string(out), "nothing to resume") {
		t.Errorf("%v\n%s", err, out)
	}
}

// openTerminal is both ends of a new one: the window's, from which everything is read, and the program's.
func openTerminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}
