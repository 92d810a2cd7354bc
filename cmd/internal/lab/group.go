package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cgroup is the control group of all processes of the run's hosts. Each host
// has one of its own inside; without it the hosts' systemds would share one.
func (r *run) cgroup() string {
	root := "/sys/fs/cgroup/unified" // on a machine that also has version 1
	if _, err := os.Stat(root); err != nil {
		root = "/sys/fs/cgroup"
	}
	return filepath.Join(root, r.name())
}

// killGroup kills every process in a control group and those within, and
// waits until they are gone.
func killGroup(dir string) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		pids, err := groupPids(dir)
		if err != nil || len(pids) == 0 {
			return err
		}
		if err := killAll(pids); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("processes in %s survive being killed", dir)
}

func groupPids(dir string) ([]string, error) {
	var pids []string
	for _, group := range groups(dir) {
		text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoDevice) {
			return nil, err
		}
		pids = append(pids, strings.Fields(string(text))...)
	}
	return pids, nil
}

// groups lists a control group and those within, outermost first. One that
// vanishes on the way is left out.
func groups(dir string) []string {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}

func removeGroup(dir string) error {
	var errs error
	for _, group := range slices.Backward(groups(dir)) {
		if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	return errs
}
