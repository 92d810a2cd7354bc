package sshtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// The shell is mvdan.cc/sh's interpreter, with everything that would touch this machine replaced. Limits that come
// from it: no file descriptor above 2; traps only on EXIT, and not in a subshell; `cmd &` that sleeps moves the
// clock like any other command of its session; on Windows variable names ignore case and globs give backslashes.

// process is one simulated process, or the subshells of one.
type process struct {
	host  *Host
	top   *process // the first process of the session or of the unit
	pid   int
	user  string
	umask fs.FileMode
	unit  string        // the unit that it runs in; empty in a session
	limit time.Duration // uptime at which a `timeout` ends it; 0: never
	mine  bool          // runs a command of the person's own, not one of the scripts'
	rest  *parking      // of top: where a background process rests
}

func (h *Host) newProcess(user string) *process {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &process{host: h, pid: h.pid(), user: user, umask: 0o022}
	p.top = p
	return p
}

// child is a copy of p with a pid of its own.
func (p *process) child() *process {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	c := *p
	c.pid, c.rest = p.host.pid(), nil
	return &c
}

type processKey struct{}

func processOf(ctx context.Context) *process { return ctx.Value(processKey{}).(*process) }

// errKilled unwinds a process that was killed.
var errKilled = errors.New("killed")

// program is a text for the shell and what it runs with.
type program struct {
	text, name     string
	args           []string
	dir            string
	env            []string
	stdin          *os.File
	stdout, stderr io.Writer
}

// parsed keeps what has been parsed, by text: the product's program is sent again for each locked request, and is the same
// for all hosts. Running a program does not change it.
var parsed struct {
	mu    sync.Mutex
	files map[[sha256.Size]byte]*syntax.File
}

const maxParsed = 128

func parse(text, name string) (*syntax.File, error) {
	parsed.mu.Lock()
	defer parsed.mu.Unlock()
	key := sha256.Sum256([]byte(text))
	file := parsed.files[key]
	if file == nil {
		var err error
		if file, err = syntax.NewParser().Parse(strings.NewReader(text), name); err != nil {
			return nil, err
		}
		if parsed.files == nil || len(parsed.files) >= maxParsed {
			parsed.files = map[[sha256.Size]byte]*syntax.File{}
		}
		parsed.files[key] = file
	}
	named := *file
	named.Name = name
	return &named, nil
}

// runShell runs a program as /bin/sh would in process p.
func (h *Host) runShell(ctx context.Context, p *process, prog program) error {
	file, err := parse(prog.text, prog.name)
	if err != nil {
		fmt.Fprintln(prog.stderr, err)
		return interp.ExitStatus(2)
	}
	ctx = context.WithValue(ctx, processKey{}, p)
	r, err := h.runner(p, prog)
	if err != nil {
		return fmt.Errorf("making a shell: %w", err)
	}
	return h.execute(ctx, r, file, prog)
}

// execute runs the file; a last `eval "$NAME"` is parsed with the cache.
func (h *Host) execute(ctx context.Context, r *interp.Runner, file *syntax.File, prog program) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			fmt.Fprintf(prog.stderr, "sh: internal error of the embedded host: %v\n", cause)
			err = interp.ExitStatus(134)
		}
	}()
	name := lastEval(file)
	if name == "" {
		return r.Run(ctx, file)
	}
	nothing := &syntax.Block{} // makes the runner fill Vars
	if err := r.Run(ctx, nothing); err != nil {
		return err
	}
	for _, stmt := range file.Stmts[:len(file.Stmts)-1] {
		if err := r.Run(ctx, stmt); r.Exited() {
			return err
		}
	}
	evaluated, err := parse(r.Vars[name].String(), prog.name)
	if err != nil {
		fmt.Fprintln(prog.stderr, err)
		return interp.ExitStatus(2)
	}
	return r.Run(ctx, evaluated)
}

// lastEval is the NAME of a program that ends with `eval "$NAME"`.
func lastEval(file *syntax.File) string {
	if len(file.Stmts) == 0 {
		return ""
	}
	stmt := file.Stmts[len(file.Stmts)-1]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || stmt.Background || stmt.Negated || len(stmt.Redirs) > 0 || len(call.Assigns) > 0 || len(call.Args) != 2 || call.Args[0].Lit() != "eval" {
		return ""
	}
	quoted, ok := call.Args[1].Parts[0].(*syntax.DblQuoted)
	if !ok || len(call.Args[1].Parts) != 1 || len(quoted.Parts) != 1 {
		return ""
	}
	param, ok := quoted.Parts[0].(*syntax.ParamExp)
	if !ok || !param.Short || !syntax.ValidName(param.Param.Value) {
		return ""
	}
	return param.Param.Value
}

// private are variables that the interpreter would otherwise take from this machine. They are not handed on.
func private(p *process) []string {
	id := strconv.Itoa(uid(p.user))
	return []string{"UID=" + id, "EUID=" + id, "GID=" + id, "TMPDIR=" + noDir, fmt.Sprintf("%s=%o", umaskVar, p.umask)}
}

// umaskVar carries the umask of a shell, so that a subshell can have its own.
const umaskVar = "SSHTEST_UMASK"

// masked is the process of ctx with the umask of the shell that runs now.
func masked(ctx context.Context) *process {
	p := processOf(ctx)
	mask, err := strconv.ParseUint(interp.HandlerCtx(ctx).Env.Get(umaskVar).String(), 8, 12)
	if err != nil || fs.FileMode(mask) == p.umask {
		return p
	}
	changed := *p
	changed.umask = fs.FileMode(mask)
	return &changed
}

// noDir is where the interpreter would make its FIFOs: nowhere.
const noDir = "/dev/null/sshtest"

func (h *Host) runner(p *process, prog program) (*interp.Runner, error) {
	env := expand.ListEnviron(append(private(p), prog.env...)...)
	return interp.New(
		func(r *interp.Runner) error { r.Dir = prog.dir; return nil }, // interp.Dir looks at this machine's files
		interp.Env(env),
		interp.Params(append([]string{"--"}, prog.args...)...),
		interp.StdIO(stdinOf(prog.stdin), prog.stdout, prog.stderr),
		interp.CallHandler(h.call),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return h.exec }),
		interp.OpenHandler(h.open),
		interp.ReadDirHandler2(h.readDir),
		interp.StatHandler(h.stat),
		interp.AccessHandler(h.access),
	)
}

func stdinOf(f *os.File) io.Reader {
	if f == nil {
		return nil
	}
	return f
}

// exported is the environment of a program that the shell starts.
func exported(env expand.Environ) []string {
	values := map[string]string{}
	for name, v := range env.Each {
		delete(values, name)
		if v.Exported && v.IsSet() && v.Kind == expand.String {
			values[name] = v.String()
		}
	}
	var list []string
	for name, value := range values {
		hidden := name == "UID" || name == "EUID" || name == "GID" || name == umaskVar || name == "TMPDIR" && value == noDir
		if !hidden {
			list = append(list, name+"="+value)
		}
	}
	slices.Sort(list)
	return list
}

// call gives the shell's own commands that the interpreter lacks, or does differently, to commands of ours.
func (h *Host) call(ctx context.Context, args []string) ([]string, error) {
	if err := h.alive(ctx); err != nil {
		return nil, err
	}
	switch args[0] {
	case "umask":
		return rewriteUmask(args), nil
	case "kill", "printf", "test", "[", "type", "ulimit", "pwd":
		return append([]string{ownPrefix + args[0]}, args[1:]...), nil
	case "trap":
		return onlyExitTrap(args), nil
	case "command":
		return h.rewriteCommand(ctx, args)
	case ".", "source":
		return h.rewriteSource(ctx, args)
	}
	return args, nil
}

func rewriteUmask(args []string) []string {
	if len(args) < 2 {
		return []string{ownPrefix + "umask"}
	}
	if _, err := strconv.ParseUint(args[1], 8, 12); err != nil {
		return []string{"false"}
	}
	return []string{"eval", "export " + umaskVar + "=" + args[1]}
}

// alive is an error when the process was ended, or its `timeout` is over.
func (h *Host) alive(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p := processOf(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.limit > 0 && h.clock.up >= p.limit {
		return errExpired
	}
	return nil
}

// ownPrefix marks a builtin that is a command of ours.
const ownPrefix = "builtin:"

// onlyExitTrap keeps what the interpreter knows of a trap; signals never arrive here.
func onlyExitTrap(args []string) []string {
	if len(args) < 3 {
		return []string{"true"}
	}
	for _, signal := range args[2:] {
		if signal == "EXIT" || signal == "0" {
			return []string{"trap", args[1], "EXIT"}
		}
	}
	return []string{"true"}
}

func (h *Host) rewriteCommand(ctx context.Context, args []string) ([]string, error) {
	switch {
	case len(args) < 2:
		return []string{"true"}, nil
	case args[1] == "-v" || args[1] == "-V":
		return append([]string{ownPrefix + "which"}, args[2:]...), nil
	case args[1] == "-p":
		return h.call(ctx, append([]string{"command"}, args[2:]...))
	}
	rest, err := h.call(ctx, args[1:])
	return append([]string{"command"}, rest...), err
}

// rewriteSource reads the file itself, as the interpreter would look for it on this machine first.
func (h *Host) rewriteSource(ctx context.Context, args []string) ([]string, error) {
	if len(args) != 2 {
		return []string{"false"}, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	text, err := h.tree.read(join(dirOf(ctx), args[1]))
	if err != nil {
		fmt.Fprintf(interp.HandlerCtx(ctx).Stderr, "sh: %s: %v\n", args[1], err)
		return []string{"exit", "2"}, nil
	}
	return []string{"eval", string(text)}, nil
}

// unixPath undoes what filepath does to a path on Windows.
func unixPath(p string) string {
	return path.Clean("/" + strings.TrimPrefix(filepath.ToSlash(p), filepath.VolumeName(p)))
}

func dirOf(ctx context.Context) string { return unixPath(interp.HandlerCtx(ctx).Dir) }
