package sshtest

import (
	"context"
	"io"
	"io/fs"
	"os"

	"mvdan.cc/sh/v3/interp"
)

// open serves the shell's redirections.
func (h *Host) open(ctx context.Context, path string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	p := masked(ctx)
	full := placed(ctx, join(dirOf(ctx), path))
	h.mu.Lock()
	defer h.mu.Unlock()
	if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		data, err := h.readAs(p, full)
		if err != nil {
			return nil, shellError(path, err)
		}
		f, err := pipeOf(data)
		return f, err
	}
	n, err := h.createAs(p, full, perm)
	if err != nil {
		return nil, shellError(path, err)
	}
	if n.kind == charDevice {
		return device{}, nil
	}
	if flag&os.O_TRUNC != 0 {
		n.data = nil
	}
	n.modified = h.clock.stamp()
	return &writer{h: h, n: n, path: full}, nil
}

// shellError is the kind of error that the interpreter prints and survives.
func shellError(path string, err error) error {
	return &fs.PathError{Op: "sh", Path: path, Err: err}
}

// pipeOf is a readable end that holds data: only a real file can be a program's input without a goroutine that
// outlives it.
func pipeOf(data []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	const sure = 4096 // fits into every platform's pipe
	if len(data) <= sure {
		_, err = w.Write(data)
		w.Close()
		return r, err
	}
	go func() { // ends with the reader
		defer w.Close()
		_, _ = w.Write(data)
	}()
	return r, nil
}

// may says whether p may do op (4 read, 2 write, 1 execute) to n.
func (p *process) may(n *node, op fs.FileMode) bool {
	switch {
	case p.user == "root":
		return op != 1 || n.dir() || n.perm&0o111 != 0
	case n.owner == p.user:
		return n.perm>>6&op == op
	case n.group == p.user:
		return n.perm>>3&op == op
	}
	return n.perm&op == op
}

func (h *Host) readAs(p *process, path string) ([]byte, error) {
	n, err := h.tree.get(path, true)
	switch {
	case err != nil:
		return nil, err
	case n.dir():
		return nil, isDir()
	case !p.may(n, 4):
		return nil, denied()
	}
	return n.data, nil
}

// createAs opens a file for writing, made with the process's umask if it is not there.
func (h *Host) createAs(p *process, path string, perm fs.FileMode) (*node, error) {
	at, err := h.tree.find(path, true)
	if err != nil {
		return nil, err
	}
	if at.node == nil {
		if !p.may(at.parent, 2) {
			return nil, denied()
		}
		if perm == 0o644 { // what the interpreter asks for; a shell asks for 0666
			perm = 0o666
		}
		return h.tree.create(path, perm&^p.umask, p.user)
	}
	if !at.node.dir() && !p.may(at.node, 2) {
		return nil, denied()
	}
	return h.tree.create(path, 0, p.user)
}

// writer is a file open for appending.
type writer struct {
	h    *Host
	n    *node
	path string
}

func (w *writer) Read([]byte) (int, error) { return 0, io.EOF }
func (w *writer) Close() error             { return nil }

func (w *writer) Write(b []byte) (int, error) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	if err := w.h.tree.allow("write", w.path); err != nil {
		return 0, err
	}
	w.n.data = append(w.n.data, b...)
	w.n.modified = w.h.clock.stamp()
	return len(b), nil
}

// device is /dev/null.
type device struct{}

func (device) Read([]byte) (int, error)    { return 0, io.EOF }
func (device) Write(b []byte) (int, error) { return len(b), nil }
func (device) Close() error                { return nil }

func (h *Host) readDir(ctx context.Context, path string) ([]fs.DirEntry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.tree.get(placed(ctx, unixPath(path)), true)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	if !n.dir() {
		return nil, pathError("readdirent", path, notDir())
	}
	var entries []fs.DirEntry
	for _, name := range n.names() {
		entries = append(entries, infoOf(name, n.children[name]))
	}
	return entries, nil
}

func (h *Host) stat(ctx context.Context, path string, follow bool) (fs.FileInfo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, err := h.tree.find(placed(ctx, unixPath(path)), follow)
	if err == nil && at.node == nil {
		err = noEntry()
	}
	if err != nil {
		return nil, pathError("stat", path, err)
	}
	return infoOf(at.name, at.node), nil
}

func (h *Host) access(ctx context.Context, path string, mode interp.AccessMode) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.tree.get(placed(ctx, unixPath(path)), true)
	if err == nil && !processOf(ctx).may(n, fs.FileMode(mode)) {
		err = denied()
	}
	return pathError("access", path, err)
}
