package sshtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
)

// call is one run of a command.
type call struct {
	ctx            context.Context
	h              *Host
	p              *process
	name           string
	args           []string // without the name
	dir            string
	vars           expand.Environ // of the shell; used if env is nil
	env            []string       // exported variables, sorted
	stdin          *os.File
	stdout, stderr io.Writer
}

// command is a program of the simulated system. It returns nil, an interp.ExitStatus, or what ends the process.
type command func(c *call) error

func (c *call) out(format string, args ...any) { fmt.Fprintf(c.stdout, format, args...) }

// fail prints what went wrong as coreutils do, and is the exit status.
func (c *call) fail(status int, format string, args ...any) error {
	fmt.Fprintf(c.stderr, "%s: %s\n", c.name, fmt.Sprintf(format, args...))
	return exit(status)
}

// failed prints and counts an error that does not end the command.
func (c *call) failed(errs *int, format string, args ...any) {
	*errs++
	_ = c.fail(1, format, args...)
}

func exit(status int) error {
	if status == 0 {
		return nil
	}
	return interp.ExitStatus(status)
}

func exitIf(failed bool) error {
	if failed {
		return exit(1)
	}
	return nil
}

func (c *call) path(p string) string { return placed(c.ctx, join(c.dir, p)) }

// input is standard input, which may be closed.
func (c *call) input() ([]byte, error) {
	if c.stdin == nil {
		return nil, nil
	}
	return io.ReadAll(c.stdin)
}

// each gives f the content of each operand, or of standard input.
func (c *call) each(operands []string, f func(name string, data []byte)) error {
	if len(operands) == 0 {
		operands = []string{"-"}
	}
	errs := 0
	for _, name := range operands {
		data, err := c.content(name)
		if err != nil {
			c.failed(&errs, "%s: %v", name, err)
			continue
		}
		f(name, data)
	}
	return exitIf(errs > 0)
}

func (c *call) content(name string) ([]byte, error) {
	if name == "-" || name == "/dev/stdin" {
		return c.input()
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	data, err := c.h.readAs(c.p, c.path(name))
	return slices.Clone(data), err
}

// options splits the arguments: single letters that stand alone, those in withValue with what follows them, long
// ones as they are (--name or --name=value), and operands.
func (c *call) options(withValue string) (map[string]string, []string) {
	found := map[string]string{}
	var operands []string
	for i := 0; i < len(c.args); i++ {
		arg := c.args[i]
		switch {
		case arg == "--":
			return found, append(operands, c.args[i+1:]...)
		case strings.HasPrefix(arg, "--"):
			name, value, _ := strings.Cut(arg, "=")
			found[name] = value
		case len(arg) > 1 && arg[0] == '-':
			i = letters(found, c.args, i, withValue)
		default:
			operands = append(operands, arg)
		}
	}
	return found, operands
}

// letters takes the letters of args[i] apart and returns the index of the last argument that it used.
func letters(found map[string]string, args []string, i int, withValue string) int {
	arg := args[i]
	for j := 1; j < len(arg); j++ {
		name := arg[j : j+1]
		if !strings.Contains(withValue, name) {
			found[name] = ""
			continue
		}
		found[name] = arg[j+1:]
		if found[name] == "" && i+1 < len(args) {
			i++
			found[name] = args[i]
		}
		return i
	}
	return i
}

func has(options map[string]string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := options[name]; return ok })
}

// exec runs a program for the shell.
func (h *Host) exec(ctx context.Context, args []string) error {
	if err := h.alive(ctx); err != nil {
		return err
	}
	hc := interp.HandlerCtx(ctx)
	stdin, _ := hc.Stdin.(*os.File)
	p := masked(ctx)
	ctx = context.WithValue(ctx, processKey{}, p)
	c := &call{ctx: ctx, h: h, p: p, dir: dirOf(ctx), vars: hc.Env,
		stdin: stdin, stdout: hc.Stdout, stderr: hc.Stderr}
	return c.exec(args)
}

// exec runs another program in the place of this one.
func (c *call) exec(args []string) error {
	if len(args) == 0 {
		return nil
	}
	name := baseOf(args[0])
	run, ok := c.h.table[name]
	switch {
	case !ok && (c.p.mine || strings.Contains(name, "/") && c.executable(name)):
		return c.userCommand(args)
	case !ok:
		return c.shellFail(127, "1: %s: not found", args[0])
	}
	next := *c
	next.name, next.args = strings.TrimPrefix(name, ownPrefix), args[1:]
	if direct(name) {
		return run(&next)
	}
	return next.buffered(run)
}

// direct says that a command's output does not wait for its end: it runs others, or follows.
func direct(name string) bool {
	switch name {
	case "sh", "bash", "dash", "timeout", "flock", "sudo", "setpriv", "runuser", "nice", "ionice", "nohup", "setsid",
		"stdbuf", "env", "journalctl", "unshare":
		return true
	}
	return false
}

// buffered runs a command and writes its output when it has ended: a command may hold the host's mutex, and a
// full pipe whose reader needs the mutex would be a deadlock.
func (c *call) buffered(run command) error {
	stdout, stderr := c.stdout, c.stderr
	var out, errs bytes.Buffer
	c.stdout, c.stderr = &out, &errs
	if stdout == stderr {
		c.stderr = &out
	}
	err := run(c)
	if out.Len() > 0 {
		_, _ = stdout.Write(out.Bytes())
	}
	if errs.Len() > 0 {
		_, _ = stderr.Write(errs.Bytes())
	}
	return err
}

// baseOf is the name of a program of the simulated system: a bare word, or a path in one of its directories.
func baseOf(word string) string {
	dir, name := "", word
	if i := strings.LastIndexByte(word, '/'); i >= 0 {
		dir, name = word[:i], word[i+1:]
	}
	switch dir {
	case "", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin":
		return name
	}
	return word
}

// userCommand plays a program of the person's own, which is one that the scripts run through setpriv, runuser or
// `env -i`, or one that is in the file tree: it succeeds, unless the host was told that checks fail. What the scripts
// run otherwise must be there.
func (c *call) userCommand(args []string) error {
	h := c.h
	h.mu.Lock()
	h.commands = append(h.commands, Command{Args: slices.Clone(args), User: c.p.user, Dir: c.dir, Env: slices.Clone(c.environment())})
	status := h.userCommandStatus(args)
	h.mu.Unlock()
	if status != 0 {
		c.out("simulated failure\n")
		return exit(status)
	}
	c.out("simulated\n")
	return nil
}

func (c *call) shellFail(status int, format string, args ...any) error {
	fmt.Fprintf(c.stderr, "sh: %s\n", fmt.Sprintf(format, args...))
	return exit(status)
}

// environment is what the command inherits.
func (c *call) environment() []string {
	if c.env == nil {
		c.env = exported(c.vars)
	}
	return c.env
}

// table gathers the programs of the simulated system by name.
func table() map[string]command {
	all := map[string]command{}
	for _, some := range []map[string]command{fileCommands(), textCommands(), infoCommands(), shellCommands(),
		execCommands(), systemdCommands()} {
		maps.Copy(all, some)
	}
	return all
}
