package sshtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Commands that a real shell has built in, and the interpreter lacks or does differently. What is known under the
// bare name, too, can be run by timeout, env and the like.

func shellCommands() map[string]command {
	own := map[string]command{
		"printf": printf, "test": testCommand, "[": testCommand, "kill": kill, "pwd": pwd, "umask": umask,
		"ulimit": succeed, "type": typeCommand, "which": which,
	}
	all := map[string]command{"true": succeed, "false": fail, ":": succeed, "echo": echo}
	for name, run := range own {
		all[name], all[ownPrefix+name] = run, run
	}
	for _, name := range []string{"umask", "ulimit", "type"} {
		delete(all, name)
	}
	return all
}

func succeed(*call) error { return nil }
func fail(*call) error    { return exit(1) }

func echo(c *call) error {
	args, end := c.args, "\n"
	if len(args) > 0 && args[0] == "-n" {
		args, end = args[1:], ""
	}
	c.out("%s%s", strings.Join(args, " "), end)
	return nil
}

func pwd(c *call) error {
	c.out("%s\n", c.dir)
	return nil
}

func umask(c *call) error {
	c.out("%04o\n", c.p.umask)
	return nil
}

// kill knows the shell's own $$, which is this program's pid in the interpreter, and units' main pids.
func kill(c *call) error {
	signal, operands := "TERM", c.args
	for len(operands) > 0 && strings.HasPrefix(operands[0], "-") {
		if operands[0] == "-s" && len(operands) > 1 {
			operands = operands[1:]
			signal = operands[0]
		} else if operands[0] != "--" {
			signal = operands[0][1:]
		}
		operands = operands[1:]
	}
	errs := 0
	for _, operand := range operands {
		pid, err := strconv.Atoi(operand)
		if err == nil && pid == os.Getpid() {
			return errKilled
		}
		if err != nil || !c.h.signal(pid, signal) {
			c.failed(&errs, "(%s) - No such process", operand)
		}
	}
	return exitIf(errs > 0)
}

// which is `command -v`: programs of the simulated system, shell builtins, and files.
func which(c *call) error {
	errs := 0
	for _, name := range c.args {
		_, ours := c.h.table[baseOf(name)]
		_, builtin := c.h.table[ownPrefix+name]
		switch {
		case strings.Contains(name, "/") && !ours:
			if !c.executable(name) {
				errs++
				continue
			}
			c.out("%s\n", name)
		case builtin || shellWord(name):
			c.out("%s\n", name)
		case ours:
			c.out("/usr/bin/%s\n", baseOf(name))
		default:
			errs++
		}
	}
	return exitIf(errs > 0)
}

func shellWord(name string) bool {
	switch name {
	case "cd", "eval", "exec", "exit", "export", "read", "set", "shift", "trap", "unset", "wait", "command", "return":
		return true
	}
	return false
}

func (c *call) executable(name string) bool {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	n, err := c.h.tree.get(c.path(name), true)
	return err == nil && !n.dir() && c.p.may(n, 1)
}

func typeCommand(c *call) error { return which(c) }

func printf(c *call) error {
	args := c.args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return c.fail(2, "usage: printf format [arguments]")
	}
	f := formatter{c: c, format: args[0], args: args[1:]}
	for {
		before := len(f.args)
		f.once()
		if f.stop || len(f.args) == 0 || len(f.args) == before {
			break
		}
	}
	_, _ = c.stdout.Write([]byte(f.b.String()))
	return exitIf(f.errs > 0)
}

// formatter is one printf.
type formatter struct {
	c      *call
	format string
	args   []string
	b      strings.Builder
	errs   int
	stop   bool
}

func (f *formatter) next() string {
	if len(f.args) == 0 {
		return ""
	}
	arg := f.args[0]
	f.args = f.args[1:]
	return arg
}

// once goes through the format one time.
func (f *formatter) once() {
	for i := 0; i < len(f.format) && !f.stop; {
		switch f.format[i] {
		case '\\':
			i += f.escape(f.format[i:], false)
		case '%':
			i += f.directive(f.format[i:])
		default:
			f.b.WriteByte(f.format[i])
			i++
		}
	}
}

// escape writes the escape sequence that text begins with and returns its length.
func (f *formatter) escape(text string, percentB bool) int {
	if len(text) < 2 {
		f.b.WriteByte('\\')
		return 1
	}
	if i := strings.IndexByte(`abfnrtv\"'`, text[1]); i >= 0 {
		f.b.WriteByte("\a\b\f\n\r\t\v\\\"'"[i])
		return 2
	}
	if percentB && text[1] == 'c' {
		f.stop = true
		return len(text)
	}
	end := 1
	for end < len(text) && end < 4 && text[end] >= '0' && text[end] <= '7' {
		end++
	}
	if percentB && text[1] == '0' && end < len(text) && end == 4 && text[end] >= '0' && text[end] <= '7' {
		end++
	}
	if end > 1 {
		number, _ := strconv.ParseUint(text[1:end], 8, 16)
		f.b.WriteByte(byte(number))
		return end
	}
	f.b.WriteByte('\\')
	return 1
}

// directive writes what the %-directive that text begins with stands for and returns its length.
func (f *formatter) directive(text string) int {
	end := 1
	for end < len(text) && strings.IndexByte("#0- +123456789.", text[end]) >= 0 {
		end++
	}
	if end == len(text) {
		f.b.WriteString(text)
		return end
	}
	flags := text[:end]
	switch letter := text[end]; letter {
	case '%':
		f.b.WriteByte('%')
	case 's':
		fmt.Fprintf(&f.b, flags+"s", f.next())
	case 'b':
		f.percentB(f.next())
	case 'c':
		arg := f.next()
		f.b.WriteString(arg[:min(1, len(arg))])
	case 'd', 'i', 'u', 'x', 'X', 'o':
		if letter == 'i' || letter == 'u' {
			letter = 'd'
		}
		fmt.Fprintf(&f.b, flags+string(letter), f.number(f.next()))
	default:
		f.errs++
		f.stop = true
		fmt.Fprintf(f.c.stderr, "printf: %%%c: invalid directive\n", letter)
	}
	return end + 1
}

func (f *formatter) percentB(arg string) {
	for i := 0; i < len(arg) && !f.stop; {
		if arg[i] == '\\' {
			i += f.escape(arg[i:], true)
			continue
		}
		f.b.WriteByte(arg[i])
		i++
	}
}

func (f *formatter) number(arg string) int64 {
	if arg == "" {
		return 0
	}
	if arg[0] == '"' || arg[0] == '\'' {
		return int64(append([]byte(arg), 0)[1])
	}
	n, err := strconv.ParseInt(arg, 0, 64)
	if err != nil {
		f.errs++
		fmt.Fprintf(f.c.stderr, "printf: %s: expected numeric value\n", arg)
	}
	return n
}
