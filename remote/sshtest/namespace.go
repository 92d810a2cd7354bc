package sshtest

import (
	"context"
	"path"
	"strings"
)

// Mount namespaces, as far as they are needed: what is written below a mount of one is gone when its process ends.
// While it lives, everybody sees it.

type namespace struct{ mounts []string }

type namespaceKey struct{}

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
	apart := &namespace{}
	defer c.h.forget(apart)
	next := *c
	next.ctx = context.WithValue(c.ctx, namespaceKey{}, apart)
	return next.exec(rest)
}

// mount only mounts a tmpfs, and only in a namespace.
func mount(c *call) error {
	apart, _ := c.ctx.Value(namespaceKey{}).(*namespace)
	_, operands := c.options("to")
	if apart == nil || len(operands) != 2 || operands[0] != "tmpfs" {
		return c.fail(32, "%s: the embedded host mounts nothing but a tmpfs in a mount namespace", strings.Join(operands, " "))
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	dir := c.path(operands[1])
	if n, err := c.h.tree.get(dir, true); err != nil || !n.dir() {
		return c.fail(32, "%s: mount point does not exist.", operands[1])
	}
	apart.mounts = append(apart.mounts, dir)
	return nil
}

// forget removes what is below the mounts.
func (h *Host) forget(apart *namespace) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, dir := range apart.mounts {
		n, err := h.tree.get(dir, true)
		if err != nil {
			continue
		}
		for name := range n.children {
			_ = h.tree.remove(path.Join(dir, name), true)
		}
	}
}
