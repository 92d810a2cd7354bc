package sshtest

import (
	"context"
	"path"
	"strconv"
	"strings"
)

// Mount namespaces, as far as they are needed: what is below a mount of one lies elsewhere in the tree, where nobody else
// looks, and is gone when its process ends.

type namespace struct {
	root   string            // below which its mounts lie
	mounts map[string]string // mount point -> where what is below it lies
}

// namespaces is below which all mounts lie.
const namespaces = "/.mounts"

type namespaceKey struct{}

func namespaceOf(ctx context.Context) *namespace {
	apart, _ := ctx.Value(namespaceKey{}).(*namespace)
	return apart
}

// placed is where in the tree the path is, for a process of this context.
func placed(ctx context.Context, p string) string {
	if apart := namespaceOf(ctx); apart != nil {
		for point, place := range apart.mounts {
			if rest, below := strings.CutPrefix(p, point); below && (rest == "" || rest[0] == '/') {
				return place + rest
			}
		}
	}
	return p
}

// unshare runs a command in a mount namespace of its own.
func unshare(c *call) error {
	rest := c.args
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		if rest[0] == "--propagation" {
			rest = rest[1:]
		}
		rest = rest[1:]
	}
	if len(rest) == 0 {
		return c.fail(1, "no command")
	}
	c.h.mu.Lock()
	c.h.unshared++
	apart := &namespace{root: path.Join(namespaces, strconv.Itoa(c.h.unshared)), mounts: map[string]string{}}
	c.h.mu.Unlock()
	defer c.h.forget(apart)
	next := *c
	next.ctx = context.WithValue(c.ctx, namespaceKey{}, apart)
	return next.exec(rest)
}

// mount only mounts a tmpfs, and only in a namespace.
func mount(c *call) error {
	apart := namespaceOf(c.ctx)
	_, operands := c.options("to")
	if apart == nil || len(operands) != 2 || operands[0] != "tmpfs" {
		return c.fail(32, "%s: the embedded host mounts nothing but a tmpfs in a mount namespace", strings.Join(operands, " "))
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	point := c.path(operands[1])
	if n, err := c.h.tree.get(point, true); err != nil || !n.dir() {
		return c.fail(32, "%s: mount point does not exist.", operands[1])
	}
	place := path.Join(apart.root, strconv.Itoa(len(apart.mounts)))
	if err := c.h.tree.mkdirAll(place, 0o755, "root"); err != nil {
		return c.fail(32, "%s: %v", operands[1], err)
	}
	apart.mounts[point] = place
	return nil
}

// forget removes what is below the mounts.
func (h *Host) forget(apart *namespace) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.tree.remove(apart.root, true) // not there without a mount
	_ = h.tree.rmdir(namespaces)        // others may have theirs
}
