package sshtest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Commands that change the file tree. All of them know the options that scripts use, not every option.

func fileCommands() map[string]command {
	return map[string]command{
		"mv": mv, "rm": rm, "mkdir": mkdir, "rmdir": rmdir, "cp": cp, "chmod": chmod, "chown": chown, "chgrp": chgrp,
		"sync": syncFiles, "ln": ln, "touch": touch, "mktemp": mktemp, "tee": tee,
	}
}

// forEach runs f for each operand with the host's mutex held, and prints what it says.
func (c *call) forEach(operands []string, verb string, f func(path string) error) error {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	errs := 0
	for _, name := range operands {
		if err := f(c.path(name)); err != nil {
			c.failed(&errs, "%s '%s': %v", verb, name, err)
		}
	}
	return exitIf(errs > 0)
}

// writable is an error when the process may not change the directory that path is in.
func (c *call) writable(p string) error {
	at, err := c.h.tree.find(p, false)
	if err == nil && at.parent != nil && !c.p.may(at.parent, 2) {
		return denied()
	}
	return nil
}

func rm(c *call) error {
	options, operands := c.options("")
	return c.forEach(operands, "cannot remove", func(p string) error {
		_, err := c.h.tree.get(p, false)
		if err != nil && has(options, "f") {
			return nil
		}
		if err := c.writable(p); err != nil {
			return err
		}
		return c.h.tree.remove(p, has(options, "r", "R", "--recursive"))
	})
}

func mkdir(c *call) error {
	options, operands := c.options("m")
	return c.forEach(operands, "cannot create directory", func(p string) error {
		_, err := c.h.tree.get(p, true)
		made := err != nil
		if has(options, "p") {
			err = c.mkdirAll(p)
		} else {
			err = c.mkdir(p)
		}
		if err != nil || !made || !has(options, "m") {
			return err
		}
		return c.chmod(p, options["m"])
	})
}

func (c *call) mkdir(p string) error {
	if err := c.writable(p); err != nil {
		return err
	}
	return c.h.tree.mkdir(p, 0o777&^c.p.umask, c.p.user)
}

func (c *call) mkdirAll(p string) error {
	n, err := c.h.tree.get(p, true)
	if err == nil && n.dir() {
		return nil
	}
	if err == nil {
		return exists()
	}
	if err := c.mkdirAll(path.Dir(p)); err != nil {
		return err
	}
	return c.mkdir(p)
}

func rmdir(c *call) error {
	_, operands := c.options("")
	return c.forEach(operands, "failed to remove", func(p string) error {
		if err := c.writable(p); err != nil {
			return err
		}
		return c.h.tree.rmdir(p)
	})
}

// destination is where source goes: into the last operand if that is a directory and -T does not forbid it.
func (c *call) destination(options map[string]string, source, last string) string {
	to := c.path(last)
	n, err := c.h.tree.get(to, true)
	if err == nil && n.dir() && !has(options, "T") {
		return path.Join(to, path.Base(source))
	}
	return to
}

// transfer runs mv and cp.
func (c *call) transfer(letters string, verb string, f func(options map[string]string, from, to string) error) error {
	options, operands := c.options(letters)
	if target, ok := options["t"]; ok {
		operands = append(operands, target)
	}
	if len(operands) < 2 {
		return c.fail(1, "missing file operand")
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	errs := 0
	last := operands[len(operands)-1]
	for _, source := range operands[:len(operands)-1] {
		to := c.destination(options, source, last)
		err := c.writable(to)
		if err == nil {
			err = f(options, c.path(source), to)
		}
		if err != nil {
			c.failed(&errs, "cannot %s '%s' to '%s': %v", verb, source, last, err)
		}
	}
	return exitIf(errs > 0)
}

func mv(c *call) error {
	return c.transfer("tS", "move", func(options map[string]string, from, to string) error {
		if at, err := c.h.tree.find(to, false); has(options, "n") && err == nil && at.node != nil {
			return nil
		}
		err := c.h.tree.rename(from, to)
		var across *errno
		if errors.As(err, &across) && across.text == crossDev().Error() {
			return c.moveAcross(from, to)
		}
		return err
	})
}

// moveAcross is what mv does between file systems: a copy and a removal.
func (c *call) moveAcross(from, to string) error {
	if err := c.copy(map[string]string{"a": ""}, from, to); err != nil {
		return err
	}
	return c.h.tree.remove(from, true)
}

func cp(c *call) error {
	return c.transfer("tS", "copy", c.copy)
}

func (c *call) copy(options map[string]string, from, to string) error {
	follow := !has(options, "P", "d", "a")
	n, err := c.h.tree.get(from, follow)
	switch {
	case err != nil:
		return err
	case n.dir() && !has(options, "r", "R", "a"):
		return fmt.Errorf("-r not specified; omitting directory")
	case n.dir():
		return c.copyDir(options, n, from, to)
	case n.kind == fs.ModeSymlink:
		_ = c.h.tree.remove(to, false)
		return c.h.tree.symlink(n.target, to, c.p.user)
	case !c.p.may(n, 4):
		return denied()
	}
	copied, err := c.h.tree.write(to, n.data, n.perm&^c.p.umask, c.p.user)
	if err == nil && has(options, "p", "a", "--preserve") {
		copied.perm, copied.owner, copied.group, copied.modified = n.perm, n.owner, n.group, n.modified
	}
	return err
}

func (c *call) copyDir(options map[string]string, n *node, from, to string) error {
	if err := c.h.tree.mkdirAll(to, n.perm, c.p.user); err != nil {
		return err
	}
	for _, name := range n.names() {
		if err := c.copy(options, path.Join(from, name), path.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

func chmod(c *call) error {
	options, operands := c.options("")
	if len(operands) < 2 {
		return c.fail(1, "missing operand")
	}
	return c.forEach(operands[1:], "cannot access", func(p string) error {
		return c.recursive(p, has(options, "R"), func(p string) error { return c.chmod(p, operands[0]) })
	})
}

// recursive calls f for p and, if all is set, for everything below.
func (c *call) recursive(p string, all bool, f func(path string) error) error {
	err := f(p)
	if all {
		c.h.tree.each(p, func(p string, _ *node) {
			if e := f(p); e != nil {
				err = e
			}
		})
	}
	return err
}

func (c *call) chmod(p, mode string) error {
	n, err := c.h.tree.get(p, true)
	if err != nil {
		return err
	}
	if c.p.user != "root" && n.owner != c.p.user {
		return denied()
	}
	if err := c.h.tree.allow("chmod", p); err != nil {
		return err
	}
	perm, err := parseMode(mode, n.perm, n.dir())
	if err == nil {
		n.perm = perm
	}
	return err
}

// parseMode reads 0644 and u=rwX,go+r.
func parseMode(text string, old fs.FileMode, dir bool) (fs.FileMode, error) {
	if number, err := strconv.ParseUint(text, 8, 12); err == nil {
		return fs.FileMode(number), nil
	}
	for clause := range strings.SplitSeq(text, ",") {
		i := strings.IndexAny(clause, "+-=")
		if i < 0 {
			return 0, invalid()
		}
		old = applyClause(clause[:i], clause[i], bitsOf(clause[i+1:], old, dir), old)
	}
	return old, nil
}

func bitsOf(letters string, old fs.FileMode, dir bool) fs.FileMode {
	bits := map[rune]fs.FileMode{'r': 4, 'w': 2, 'x': 1}
	var sum fs.FileMode
	for _, letter := range letters {
		sum |= bits[letter]
		if letter == 'X' && (dir || old&0o111 != 0) {
			sum |= 1
		}
	}
	return sum
}

func applyClause(who string, op byte, bits, old fs.FileMode) fs.FileMode {
	if who == "" || strings.Contains(who, "a") {
		who = "ugo"
	}
	shifts := map[rune]int{'u': 6, 'g': 3, 'o': 0}
	for _, class := range who {
		shift := shifts[class]
		switch op {
		case '+':
			old |= bits << shift
		case '-':
			old &^= bits << shift
		default:
			old = old&^(7<<shift) | bits<<shift
		}
	}
	return old
}

func chown(c *call) error { return c.changeOwner(true) }
func chgrp(c *call) error { return c.changeOwner(false) }

func (c *call) changeOwner(both bool) error {
	options, operands := c.options("")
	if len(operands) < 2 {
		return c.fail(1, "missing operand")
	}
	owner, group := "", operands[0]
	if both {
		owner, group, _ = strings.Cut(strings.Replace(operands[0], ".", ":", 1), ":")
	}
	for _, name := range []string{owner, group} {
		if name != "" && c.h.unknownUser(name) {
			return c.fail(1, "invalid user: '%s'", operands[0])
		}
	}
	return c.forEach(operands[1:], "cannot access", func(p string) error {
		return c.recursive(p, has(options, "R"), func(p string) error {
			return c.own(p, owner, group, !has(options, "h"))
		})
	})
}

func (c *call) own(p, owner, group string, follow bool) error {
	n, err := c.h.tree.get(p, follow)
	if err != nil {
		return err
	}
	if c.p.user != "root" {
		return &errno{"Operation not permitted", fs.ErrPermission}
	}
	if err := c.h.tree.allow("chown", p); err != nil {
		return err
	}
	if owner != "" {
		n.owner = owner
	}
	if group != "" {
		n.group = group
	}
	return nil
}

// syncFiles only says whether the files are there: memory is durable enough.
func syncFiles(c *call) error {
	_, operands := c.options("")
	return c.forEach(operands, "error opening", func(p string) error {
		_, err := c.h.tree.get(p, true)
		return err
	})
}

func ln(c *call) error {
	options, operands := c.options("")
	if !has(options, "s") || len(operands) != 2 {
		return c.fail(1, "only ln -s TARGET LINK exists here")
	}
	return c.forEach(operands[1:], "failed to create symbolic link", func(p string) error {
		if err := c.writable(p); err != nil {
			return err
		}
		if has(options, "f") {
			_ = c.h.tree.remove(p, false)
		}
		return c.h.tree.symlink(operands[0], p, c.p.user)
	})
}

func touch(c *call) error {
	_, operands := c.options("dtr")
	return c.forEach(operands, "cannot touch", func(p string) error {
		n, err := c.h.createAs(c.p, p, 0o666)
		if err == nil {
			n.modified = c.h.clock.stamp()
		}
		return err
	})
}

func mktemp(c *call) error {
	options, operands := c.options("p")
	template := "/tmp/tmp.XXXXXXXXXX"
	if len(operands) > 0 {
		template = operands[0]
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	name := strings.TrimRight(template, "X") + c.h.id()[:len(template)-len(strings.TrimRight(template, "X"))]
	var err error
	if has(options, "d") {
		err = c.h.tree.mkdir(c.path(name), 0o700, c.p.user)
	} else {
		_, err = c.h.tree.create(c.path(name), 0o600, c.p.user)
	}
	if err != nil {
		return c.fail(1, "cannot create '%s': %v", name, err)
	}
	c.out("%s\n", name)
	return nil
}

func tee(c *call) error {
	options, operands := c.options("")
	data, _ := c.input()
	c.out("%s", data)
	return c.forEach(operands, "cannot open", func(p string) error {
		n, err := c.h.createAs(c.p, p, 0o666)
		if err != nil {
			return err
		}
		if !has(options, "a") {
			n.data = nil
		}
		n.data = append(n.data, data...)
		return nil
	})
}
