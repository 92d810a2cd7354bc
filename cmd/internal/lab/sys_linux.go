package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNoDevice is what reading a control group says while it is being removed.
const errNoDevice = syscall.ENODEV

// wake continues a process that is stopped.
func wake(p *os.Process) { _ = p.Signal(syscall.SIGCONT) } // it may have ended

// inNamespace calls f on a thread that is in the network namespace; sockets
// that f opens itself, not in another goroutine, stay there for good.
func inNamespace(path string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err, home := visit(path, f)
		if home {
			runtime.UnlockOSThread() // else the thread ends with this goroutine
		}
		done <- err
	}()
	return <-done
}

// visit reports whether the thread is back where it came from.
func visit(path string, f func() error) (err error, home bool) {
	origin, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err, true
	}
	defer origin.Close()
	namespace, err := os.Open(path)
	if err != nil {
		return err, true
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering %s: %w", path, err), true
	}
	err = f()
	return err, unix.Setns(int(origin.Fd()), unix.CLONE_NEWNET) == nil
}

// lockFile takes the lock of an open file, at once or not at all unless it is
// to wait.
func lockFile(file *os.File, wait bool) error {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(file.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// startInGroup makes a command start as a member of a control group, before
// it can have children elsewhere.
func startInGroup(cmd *exec.Cmd, group *os.File) {
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd()), Setsid: true}
}

// kill kills a process; one that is gone already is no error.
func kill(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}
