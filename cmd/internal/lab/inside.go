package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

var (
	errOff     = errors.New("is powered off")
	errBooting = errors.New("has no init yet")
)

// shLimit bounds a script: a systemd that reboots may leave its callers without an answer for ever.
const shLimit = 5 * time.Minute

// Sh runs a script as root inside the host, past its sshd and its network, and
// returns its standard output. The error carries standard error. The arguments
// are the script's "$1", "$2", ... A script that does not end in five minutes
// is an error.
func (h *Host) Sh(script string, args ...string) (string, error) {
	pid, err := h.leader()
	if err != nil {
		return "", fmt.Errorf("%s: %w", h.Name, err)
	}
	ctx, cancel := context.WithTimeout(background(), shLimit)
	defer cancel()
	said, err := output(h.enter(ctx, pid, script, args...))
	if err != nil {
		return said, fmt.Errorf("%s: %w", h.Name, err)
	}
	return said, nil
}

// enter is a script prepared to run inside the host whose init has that pid.
func (h *Host) enter(ctx context.Context, pid int, script string, args ...string) *exec.Cmd {
	argv := append([]string{"--target", strconv.Itoa(pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
		"--root", "/bin/sh", "-c", script, "sh"}, args...)
	cmd := commandContext(ctx, "nsenter", argv...)
	cmd.WaitDelay = 10 * time.Second // what it has started may hold its output
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LC_ALL=C", "HOME=/root", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=",
	}
	return cmd
}

// leader is the pid of the host's init, as seen from outside.
func (h *Host) leader() (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.running() {
		return 0, errOff
	}
	pid := h.nspawn.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, errBooting
	}
	for _, child := range strings.Fields(string(children)) {
		if isInit(child) {
			return strconv.Atoi(child)
		}
	}
	return 0, errBooting
}

// isInit tells the first process of a pid namespace, once it has become the
// host's systemd, from the ones that nspawn needs on the way.
func isInit(pid string) bool {
	status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if err != nil {
		return false
	}
	var name, inner string
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case fields[0] == "Name:":
			name = fields[1]
		case fields[0] == "NSpid:":
			inner = fields[len(fields)-1]
		}
	}
	return inner == "1" && name == "systemd"
}

// Put writes a file inside the host, owned by root, making the directories it
// needs. On a host that is powered off it writes to the disk.
func (h *Host) Put(path, content string, mode fs.FileMode) error {
	root, name, err := h.open(path)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if err := errors.Join(root.WriteFile(name, []byte(content), mode), root.Chmod(name, mode)); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}

// Get reads a file inside the host, or from the disk of one that is powered
// off.
func (h *Host) Get(path string) (string, error) {
	root, name, err := h.open(path)
	if err != nil {
		return "", err
	}
	defer root.Close()
	text, err := root.ReadFile(name)
	if err != nil {
		err = fmt.Errorf("%s: %w", h.Name, err)
	}
	return string(text), err
}

// Glob reads the files inside the host that match any of the patterns of
// path.Match: path -> content. Links and directories are there, with none.
func (h *Host) Glob(patterns ...string) (map[string]string, error) {
	root, _, err := h.open("/")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files := map[string]string{}
	for _, pattern := range patterns {
		paths, err := fs.Glob(root.FS(), strings.TrimPrefix(pattern, "/"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			info, err := root.Lstat(path)
			var text []byte
			if err == nil && info.Mode().IsRegular() {
				text, err = root.ReadFile(path)
			}
			switch {
			case errors.Is(err, fs.ErrNotExist): // it went in this moment
				continue
			case err != nil:
				return nil, fmt.Errorf("%s: %w", h.Name, err)
			}
			files["/"+path] = string(text)
		}
	}
	return files, nil
}

// open returns the host's root, with its /run and /tmp if it is running, and
// the path within. A link inside the host does not lead out of it.
func (h *Host) open(path string) (root *os.Root, name string, err error) {
	dir := h.Path("/")
	if pid, err := h.leader(); err == nil {
		dir = fmt.Sprintf("/proc/%d/root", pid)
	}
	root, err = os.OpenRoot(dir)
	return root, strings.TrimPrefix(path, "/"), err
}

// Path is where a file of the host's disk is seen from outside, even when it
// is powered off. /run, /tmp and what else the host mounts are not in there.
func (h *Host) Path(path string) string { return filepath.Join(h.dir, "root", path) }
