package sshtest

import (
	"io/fs"
	"strconv"
	"strings"
)

// test by POSIX's rules for up to four arguments, and -a, -o and parentheses beyond.

func testCommand(c *call) error {
	args := c.args
	if c.name == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			return c.fail(2, "missing ]")
		}
		args = args[:len(args)-1]
	}
	t := tester{c: c}
	held := t.expression(args)
	if t.problem != "" {
		return c.fail(2, "%s", t.problem)
	}
	return exitIf(!held)
}

type tester struct {
	c       *call
	problem string
}

func (t *tester) expression(args []string) bool {
	switch len(args) {
	case 0:
		return false
	case 1:
		return args[0] != ""
	case 2:
		if args[0] == "!" {
			return args[1] == ""
		}
		return t.unary(args[0], args[1])
	case 3:
		if isBinary(args[1]) {
			return t.binary(args[0], args[1], args[2])
		}
	}
	return t.long(args)
}

func (t *tester) long(args []string) bool {
	for _, operator := range []string{"-o", "-a"} {
		for i := 1; i < len(args)-1; i++ {
			if args[i] == operator {
				left, right := t.expression(args[:i]), t.expression(args[i+1:])
				return operator == "-o" && (left || right) || left && right
			}
		}
	}
	switch {
	case args[0] == "!":
		return !t.expression(args[1:])
	case args[0] == "(" && args[len(args)-1] == ")":
		return t.expression(args[1 : len(args)-1])
	}
	t.problem = "unexpected operator: " + strings.Join(args, " ")
	return false
}

func isBinary(operator string) bool {
	switch operator {
	case "=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef", "-a", "-o", "<", ">":
		return true
	}
	return false
}

func (t *tester) binary(left, operator, right string) bool {
	switch operator {
	case "=", "==":
		return left == right
	case "!=":
		return left != right
	case "<":
		return left < right
	case ">":
		return left > right
	case "-a":
		return left != "" && right != ""
	case "-o":
		return left != "" || right != ""
	case "-nt", "-ot", "-ef":
		return t.compareFiles(left, operator, right)
	}
	a, b := t.number(left), t.number(right)
	return map[string]bool{"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b, "-ge": a >= b}[operator] &&
		t.problem == ""
}

func (t *tester) number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		t.problem = "Illegal number: " + text
	}
	return n
}

func (t *tester) compareFiles(left, operator, right string) bool {
	t.c.h.mu.Lock()
	defer t.c.h.mu.Unlock()
	if operator == "-ot" {
		left, right = right, left
	}
	a, errA := t.c.h.tree.get(t.c.path(left), true)
	b, errB := t.c.h.tree.get(t.c.path(right), true)
	if operator == "-ef" {
		return errA == nil && errB == nil && a == b
	}
	return errA == nil && (errB != nil || a.modified.After(b.modified))
}

func (t *tester) unary(operator, word string) bool {
	switch operator {
	case "-n":
		return word != ""
	case "-z":
		return word == ""
	case "-t":
		return false
	}
	if len(operator) != 2 || operator[0] != '-' || !strings.Contains("efdhLrwxspScbugkOG", operator[1:]) {
		t.problem = operator + ": unexpected operator"
		return false
	}
	t.c.h.mu.Lock()
	defer t.c.h.mu.Unlock()
	n, err := t.c.h.tree.get(t.c.path(word), operator != "-h" && operator != "-L")
	return word != "" && err == nil && t.is(n, operator)
}

func (t *tester) is(n *node, operator string) bool {
	switch operator {
	case "-e":
		return true
	case "-f":
		return n.kind == 0
	case "-d":
		return n.dir()
	case "-h", "-L":
		return n.kind == fs.ModeSymlink
	case "-c":
		return n.kind == charDevice
	case "-s":
		return n.dir() || len(n.data) > 0
	case "-r":
		return t.c.p.may(n, 4)
	case "-w":
		return t.c.p.may(n, 2)
	case "-x":
		return t.c.p.may(n, 1)
	case "-O":
		return n.owner == t.c.p.user
	case "-G":
		return n.group == t.c.p.user
	}
	return false // sockets, pipes, block devices and set-id bits do not exist here
}
