package sshtest

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// errno is a system call's error with the text that coreutils print, the same on every platform.
type errno struct {
	text string
	kind error
}

func (e *errno) Error() string { return e.text }

// Is lets errors.Is(err, fs.ErrNotExist) hold, which the interpreter's globbing needs.
func (e *errno) Is(target error) bool { return target == e.kind }

func noEntry() error  { return &errno{"No such file or directory", fs.ErrNotExist} }
func notDir() error   { return &errno{"Not a directory", nil} }
func isDir() error    { return &errno{"Is a directory", nil} }
func exists() error   { return &errno{"File exists", fs.ErrExist} }
func notEmpty() error { return &errno{"Directory not empty", nil} }
func denied() error   { return &errno{"Permission denied", fs.ErrPermission} }
func readOnly() error { return &errno{"Read-only file system", nil} }
func noSpace() error  { return &errno{"No space left on device", nil} }
func loop() error     { return &errno{"Too many levels of symbolic links", nil} }
func invalid() error  { return &errno{"Invalid argument", fs.ErrInvalid} }
func crossDev() error { return &errno{"Invalid cross-device link", nil} }
func busy() error     { return &errno{"Device or resource busy", nil} }

// node is one inode. The host's mutex guards all of them.
type node struct {
	kind     fs.FileMode // 0, fs.ModeDir, fs.ModeSymlink or fs.ModeCharDevice
	perm     fs.FileMode
	owner    string
	group    string
	data     []byte
	target   string
	children map[string]*node
	modified time.Time
	inode    int
}

func (n *node) dir() bool { return n.kind == fs.ModeDir }

func (n *node) names() []string { return slices.Sorted(maps.Keys(n.children)) }

// tree is the host's file tree. synthetic answers for /proc and /sys.
type tree struct {
	root         *node
	inodes       int
	now          func() time.Time
	synthetic    func(path string) (*node, bool)
	refuse       func(op, path string) error
	distribution string // the directory of the distribution's units, as systemd calls it
}

func newTree(now func() time.Time) *tree {
	t := &tree{now: now, distribution: "/usr/lib/systemd/system"}
	t.root = t.newNode(fs.ModeDir, 0o755, "root")
	return t
}

func (t *tree) newNode(kind, perm fs.FileMode, owner string) *node {
	t.inodes++
	n := &node{kind: kind, perm: perm, owner: owner, group: owner, modified: t.now(), inode: t.inodes}
	if kind == fs.ModeDir {
		n.children = map[string]*node{}
	}
	return n
}

// place is where a path leads: the directory, the last name in it, and what is there (nil: nothing yet).
type place struct {
	path   string
	parent *node
	name   string
	node   *node
}

const maxLinks = 40

// find resolves a path; follow says whether a symbolic link at its end is followed, too.
func (t *tree) find(p string, follow bool) (place, error) {
	p = path.Clean("/" + p)
	if t.synthetic != nil {
		if n, ok := t.synthetic(p); ok {
			return t.findSynthetic(p, n, follow)
		}
	}
	for range maxLinks {
		at, link, err := t.step(p)
		if err != nil {
			return at, err
		}
		if link == "" {
			if at.node == nil || at.node.kind != fs.ModeSymlink || !follow {
				return at, nil
			}
			link = join(path.Dir(at.path), at.node.target)
		}
		p = link
	}
	return place{path: p}, loop()
}

func (t *tree) findSynthetic(p string, n *node, follow bool) (place, error) {
	if n == nil {
		return place{path: p}, noEntry()
	}
	if follow && n.kind == fs.ModeSymlink && strings.HasPrefix(n.target, "/") {
		return t.find(n.target, true)
	}
	return place{path: p, parent: t.root, name: path.Base(p), node: n}, nil
}

// step walks until the end or until a symbolic link on the way, whose replacement path it returns.
func (t *tree) step(p string) (place, string, error) {
	at := place{path: p, node: t.root}
	parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
	if parts[0] == "" {
		return at, "", nil
	}
	for i, name := range parts {
		if at.node == nil {
			return place{path: p}, "", noEntry()
		}
		if at.node.kind == fs.ModeSymlink {
			here := "/" + strings.Join(parts[:i], "/")
			return at, join(join(path.Dir(here), at.node.target), strings.Join(parts[i:], "/")), nil
		}
		if !at.node.dir() {
			return place{path: p}, "", notDir()
		}
		at = place{path: p, parent: at.node, name: name, node: at.node.children[name]}
	}
	return at, "", nil
}

func join(dir, p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return path.Join(dir, p)
}

// get is find for something that must exist.
func (t *tree) get(p string, follow bool) (*node, error) {
	at, err := t.find(p, follow)
	if err != nil {
		return nil, err
	}
	if at.node == nil {
		return nil, noEntry()
	}
	return at.node, nil
}

func (t *tree) read(p string) ([]byte, error) {
	n, err := t.get(p, true)
	if err != nil {
		return nil, err
	}
	if n.dir() {
		return nil, isDir()
	}
	return n.data, nil
}

func (t *tree) allow(op, p string) error {
	if t.refuse == nil {
		return nil
	}
	return t.refuse(op, path.Clean("/"+p))
}

// create returns the file at p, made if need be; exclusive refuses one that is there.
func (t *tree) create(p string, perm fs.FileMode, owner string) (*node, error) {
	at, err := t.find(p, true)
	if err != nil {
		return nil, err
	}
	if err := t.allow("write", at.path); err != nil {
		return nil, err
	}
	if at.node != nil {
		if at.node.dir() {
			return nil, isDir()
		}
		return at.node, nil
	}
	n := t.newNode(0, perm, owner)
	at.parent.children[at.name] = n
	return n, nil
}

func (t *tree) write(p string, data []byte, perm fs.FileMode, owner string) (*node, error) {
	n, err := t.create(p, perm, owner)
	if err != nil {
		return nil, err
	}
	n.data, n.modified = slices.Clone(data), t.now()
	return n, nil
}

func (t *tree) mkdir(p string, perm fs.FileMode, owner string) error {
	at, err := t.find(p, true)
	if err != nil {
		return err
	}
	if at.node != nil {
		return exists()
	}
	if err := t.allow("mkdir", at.path); err != nil {
		return err
	}
	at.parent.children[at.name] = t.newNode(fs.ModeDir, perm, owner)
	return nil
}

func (t *tree) mkdirAll(p string, perm fs.FileMode, owner string) error {
	p = path.Clean("/" + p)
	n, err := t.get(p, true)
	if err == nil && n.dir() {
		return nil
	}
	if err == nil {
		return exists()
	}
	if err := t.mkdirAll(path.Dir(p), perm, owner); err != nil {
		return err
	}
	return t.mkdir(p, perm, owner)
}

func (t *tree) symlink(target, p, owner string) error {
	at, err := t.find(p, false)
	if err != nil {
		return err
	}
	if at.node != nil {
		return exists()
	}
	if err := t.allow("write", at.path); err != nil {
		return err
	}
	n := t.newNode(fs.ModeSymlink, 0o777, owner)
	n.target = target
	at.parent.children[at.name] = n
	return nil
}

// remove unlinks one name; recursive also takes a directory with all that is in it.
func (t *tree) remove(p string, recursive bool) error {
	at, err := t.find(p, false)
	if err != nil {
		return err
	}
	switch {
	case at.node == nil:
		return noEntry()
	case at.name == "":
		return busy()
	case at.node.dir() && !recursive:
		return isDir()
	}
	if err := t.allow("remove", at.path); err != nil {
		return err
	}
	delete(at.parent.children, at.name)
	return nil
}

func (t *tree) rmdir(p string) error {
	n, err := t.get(p, false)
	switch {
	case err != nil:
		return err
	case !n.dir():
		return notDir()
	case len(n.children) > 0:
		return notEmpty()
	}
	return t.remove(p, true)
}

// rename is rename(2): the target is replaced in one go, and only within one file system.
func (t *tree) rename(from, to string) error {
	src, err := t.find(from, false)
	if err != nil {
		return err
	}
	dst, err := t.find(to, false)
	switch {
	case err != nil:
		return err
	case src.node == nil:
		return noEntry()
	case src.name == "" || dst.name == "":
		return busy()
	case volatile(src.path) != volatile(dst.path):
		return crossDev()
	}
	if err := renameable(src, dst); err != nil {
		return err
	}
	if err := t.allow("rename", dst.path); err != nil {
		return err
	}
	delete(src.parent.children, src.name)
	dst.parent.children[dst.name] = src.node
	return nil
}

func renameable(src, dst place) error {
	switch {
	case dst.node == nil:
		return nil
	case dst.node.dir() && !src.node.dir():
		return isDir()
	case !dst.node.dir() && src.node.dir():
		return notDir()
	case dst.node.dir() && len(dst.node.children) > 0:
		return notEmpty()
	}
	return nil
}

// volatile tells the two file systems of a host apart: the tmpfs of /run, and the disk.
func volatile(p string) bool { return p == "/run" || strings.HasPrefix(p, "/run/") }

// each calls f for every path below dir, in order, parents first.
func (t *tree) each(dir string, f func(path string, n *node)) {
	n, err := t.get(dir, true)
	if err != nil || !n.dir() {
		return
	}
	for _, name := range n.names() {
		p := path.Join(dir, name)
		f(p, n.children[name])
		if n.children[name].dir() {
			t.each(p, f)
		}
	}
}

// info is a node as io/fs and the interpreter want to see it.
type info struct {
	name string
	n    *node
	size int64
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) Mode() fs.FileMode          { return i.n.kind | i.n.perm }
func (i info) ModTime() time.Time         { return i.n.modified }
func (i info) IsDir() bool                { return i.n.dir() }
func (i info) Sys() any                   { return nil }
func (i info) Type() fs.FileMode          { return i.n.kind }
func (i info) Info() (fs.FileInfo, error) { return i, nil }

func infoOf(name string, n *node) info { return info{name: name, n: n, size: int64(len(n.data))} }
