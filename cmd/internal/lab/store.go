package lab

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// store is the directory that all labs of a machine share: images, and one
// directory for each run.
type store struct{ dir string }

// run is the part of the machine that one lab took: everything that carries
// its id. It can be removed by anyone who holds its lock, which is how the
// leftovers of a killed process go.
type run struct {
	id   string
	dir  string
	lock *os.File
}

func openStore() (*store, error) {
	dir := cmp.Or(os.Getenv("SEATRIAL_LAB_CACHE"), "/var/cache/seatrial-lab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// The kernel lists mounts by their real path, and removeTree relies on finding them.
	dir, err := realPath(dir)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(dir, " \t\n\\,:") {
		return nil, fmt.Errorf("SEATRIAL_LAB_CACHE is %q, which cannot be written in mount options", dir)
	}
	s := &store{dir}
	for _, dir := range []string{"images", "runs"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func realPath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// lock waits for the lock of that name; the kernel gives it back when this
// process dies.
func (s *store) lock(name string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(file, true); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", file.Name(), err), file.Close())
	}
	return func() { file.Close() }, nil
}

// newRun takes a new id. Under the lock nobody can mistake a run for dead
// between the making of its directory and of its lock.
func (s *store) newRun() (*run, error) {
	unlock, err := s.lock("runs.lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	var random [4]byte
	rand.Read(random[:])
	id := hex.EncodeToString(random[:])
	r := &run{id: id, dir: filepath.Join(s.dir, "runs", id)}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		return nil, err
	}
	alive, err := r.takeLock()
	if err == nil && alive {
		err = fmt.Errorf("run %s is taken", id)
	}
	return r, err
}

// takeLock reports whether somebody else holds the run.
func (r *run) takeLock() (alive bool, err error) {
	file, err := os.OpenFile(filepath.Join(r.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	if lockFile(file, false) != nil {
		return true, file.Close()
	}
	r.lock = file
	return false, nil
}

// removeDeadRuns removes the runs whose process is gone.
func (s *store) removeDeadRuns() error {
	unlock, err := s.lock("runs.lock")
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := os.ReadDir(filepath.Join(s.dir, "runs"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		r := &run{id: entry.Name(), dir: filepath.Join(s.dir, "runs", entry.Name())}
		alive, err := r.takeLock()
		if alive || errors.Is(err, os.ErrNotExist) { // or its owner is just removing it
			continue
		}
		if err := errors.Join(err, r.remove()); err != nil {
			return fmt.Errorf("removing dead lab %s: %w", r.id, err)
		}
	}
	return nil
}

// name is what everything of this run is called on the machine.
func (r *run) name() string { return "seatrial-" + r.id }

// remove undoes a run from its id alone: processes, network, mounts, files.
func (r *run) remove() error {
	err := errors.Join(
		killGroup(r.cgroup()),
		removeNamespaces(r.name()),
		removeGroup(r.cgroup()),
		removeTree(r.dir),
		r.removeTraces(),
	)
	return errors.Join(err, r.lock.Close())
}

// removeTraces removes what systemd-nspawn leaves in /run when it is killed.
func (r *run) removeTraces() error {
	traces, err := filepath.Glob("/run/systemd/nspawn/*/" + r.name() + "-*")
	for _, trace := range traces {
		err = errors.Join(err, removeTree(trace))
	}
	return err
}

// removeTree unmounts everything below a directory, then removes it. It never
// deletes through a mount: if one stays, so do the files.
func removeTree(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		if err := command("umount", mount); err != nil {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// mountsBelow lists the mount points in a directory, innermost first.
func mountsBelow(dir string) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var mounts []string
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && (fields[4] == dir || strings.HasPrefix(fields[4], dir+"/")) {
			mounts = append([]string{fields[4]}, mounts...)
		}
	}
	return mounts, nil
}
