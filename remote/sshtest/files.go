package sshtest

import (
	"io/fs"
	"slices"
	"strings"
)

const charDevice = fs.ModeDevice | fs.ModeCharDevice

// WriteFile puts a file on the host, with the directories on the way.
func (h *Host) WriteFile(path string, content []byte, mode fs.FileMode, owner, group string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.tree.mkdirAll(parent(path), 0o755, "root"); err != nil {
		return pathError("write", path, err)
	}
	n, err := h.tree.write(path, content, mode, owner)
	if err != nil {
		return pathError("write", path, err)
	}
	n.perm, n.owner, n.group = mode.Perm(), owner, group
	return nil
}

// ReadFile returns what is in a file of the host.
func (h *Host) ReadFile(path string) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	data, err := h.tree.read(path)
	if err != nil {
		return nil, pathError("read", path, err)
	}
	return slices.Clone(data), nil
}

// Remove removes a file, or a directory with all that is in it.
func (h *Host) Remove(path string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return pathError("remove", path, h.tree.remove(path, true))
}

// Mkdir makes a directory and those on the way to it.
func (h *Host) Mkdir(path string, mode fs.FileMode, owner, group string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.tree.mkdirAll(path, 0o755, "root"); err != nil {
		return pathError("mkdir", path, err)
	}
	n, err := h.tree.get(path, true)
	if err == nil {
		n.perm, n.owner, n.group = mode.Perm(), owner, group
	}
	return pathError("mkdir", path, err)
}

// Symlink makes path a symbolic link to target.
func (h *Host) Symlink(target, path string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.tree.mkdirAll(parent(path), 0o755, "root"); err != nil {
		return pathError("symlink", path, err)
	}
	return pathError("symlink", path, h.tree.symlink(target, path, "root"))
}

// Stat tells mode, owner and group of a path, which is not followed.
func (h *Host) Stat(path string) (mode fs.FileMode, owner, group string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.tree.get(path, false)
	if err != nil {
		return 0, "", "", pathError("stat", path, err)
	}
	return n.kind | n.perm, n.owner, n.group, nil
}

// Exists says whether there is something at path; a symbolic link is not followed.
func (h *Host) Exists(path string) bool {
	_, _, _, err := h.Stat(path)
	return err == nil
}

// List returns the paths of all files (and links, not directories) that begin with prefix, in order.
func (h *Host) List(prefix string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var paths []string
	h.tree.each("/", func(path string, n *node) {
		if !n.dir() && strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	})
	return paths
}

func parent(path string) string {
	i := strings.LastIndexByte(strings.TrimRight(path, "/"), '/')
	return "/" + strings.Trim(path[:max(i, 0)], "/")
}

func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
