package sshtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Commands that run another command.

func execCommands() map[string]command {
	return map[string]command{
		"sh": sh, "bash": sh, "dash": sh, "timeout": timeout, "flock": flock, "sudo": sudo, "setpriv": setpriv,
		"runuser": runuser, "nice": plain("n"), "ionice": plain("cn"), "nohup": plain(""), "setsid": plain(""),
		"stdbuf": plain("ioe"), "sleep": sleep, "unshare": unshare, "mount": mount,
	}
}

// sh is the interpreter again, in a process of its own: -c TEXT [NAME ARGS], or FILE ARGS, or standard input.
func sh(c *call) error {
	args := c.args
	var flags []string
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-c" && args[0] != "-" {
		flags, args = append(flags, args[0]), args[1:]
	}
	prog := program{name: "sh", dir: c.dir, env: c.environment(), stdin: c.stdin, stdout: c.stdout, stderr: c.stderr}
	switch {
	case len(args) > 1 && args[0] == "-c":
		prog.text, args = args[1], args[2:]
		if len(args) > 0 {
			prog.name, args = args[0], args[1:]
		}
	case len(args) > 0 && args[0] != "-":
		text, err := c.content(args[0])
		if err != nil {
			return c.fail(127, "0: cannot open %s: %v", args[0], err)
		}
		prog.text, prog.name, args = string(text), args[0], args[1:]
	default:
		text, _ := c.input()
		prog.text = string(text)
	}
	prog.args = args
	for _, flag := range flags {
		if flag != "-s" && flag != "--" {
			prog.text = "set " + flag + "\n" + prog.text
		}
	}
	return c.ended(c.h.runShell(c.ctx, c.p.child(), prog))
}

// ended is how a process that ended with err looks to the process that waits for it.
func (c *call) ended(err error) error {
	if errors.Is(err, errKilled) {
		return exit(137)
	}
	return err
}

// as runs args as this command, in a process that change has altered.
func (c *call) as(args []string, change func(p *process)) error {
	next := *c
	next.p = c.p.child()
	change(next.p)
	next.ctx = context.WithValue(c.ctx, processKey{}, next.p)
	return next.exec(args)
}

// operandsOf drops leading options; those in withValue take the next argument, too.
func operandsOf(args []string, withValue ...string) []string {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		if slices.Contains(withValue, word) && len(args) > 0 {
			args = args[1:]
		}
	}
	return args
}

// plain runs the rest as it is.
func plain(letters string) command {
	return func(c *call) error {
		var withValue []string
		for _, letter := range letters {
			withValue = append(withValue, "-"+string(letter))
		}
		return c.exec(operandsOf(c.args, withValue...))
	}
}

func seconds(text string) (time.Duration, error) {
	unit := time.Second
	if n := len(text); n > 0 {
		units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
		if u, ok := units[text[n-1]]; ok {
			unit, text = u, text[:n-1]
		}
	}
	if text == "infinity" {
		return forever / 4, nil
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number < 0 {
		return 0, fmt.Errorf("invalid time interval '%s'", text)
	}
	return time.Duration(min(number, 1e9) * float64(unit)), nil
}

func sleep(c *call) error {
	var sum time.Duration
	for _, arg := range c.args {
		d, err := seconds(arg)
		if err != nil {
			return c.fail(1, "%v", err)
		}
		sum += d
	}
	return c.pause(sum)
}

// pause lets d pass for this process.
func (c *call) pause(d time.Duration) error {
	err := c.h.clock.wait(c.ctx, c.p, c.h.Uptime()+d, nil)
	return err
}

// timeout ends its command by the host's clock.
func timeout(c *call) error {
	rest := operandsOf(c.args, "-k", "-s", "--kill-after", "--signal")
	if len(rest) < 2 {
		return c.fail(125, "missing operand")
	}
	limit, err := seconds(rest[0])
	if err != nil {
		return c.fail(125, "%v", err)
	}
	end := c.h.Uptime() + limit
	err = c.as(rest[1:], func(p *process) {
		if limit > 0 && (p.limit == 0 || end < p.limit) {
			p.limit = end
		}
	})
	if errors.Is(err, errExpired) && limit > 0 && c.h.Uptime() >= end {
		return exit(124)
	}
	return c.ended(err)
}

func env(c *call) error {
	args, list, mine := c.args, c.environment(), false
	for len(args) > 0 {
		name, _, assigns := strings.Cut(args[0], "=")
		switch {
		case args[0] == "-i" || args[0] == "-":
			list, mine = nil, true
		case args[0] == "-u" && len(args) > 1:
			args = args[1:]
			list = without(list, args[0])
		case args[0] == "--":
		case assigns:
			list = append(without(list, name), args[0])
		default:
			c.env = sorted(list)
			return c.as(args, func(p *process) { p.mine = p.mine || mine })
		}
		args = args[1:]
	}
	for _, pair := range sorted(list) {
		c.out("%s\n", pair)
	}
	return nil
}

func sorted(list []string) []string {
	list = append([]string{}, list...)
	slices.Sort(list)
	return list
}

func without(list []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
}

// sudo gives root to whoever may log in, without a password or not at all.
func sudo(c *call) error {
	rest := operandsOf(c.args, "-p", "-u", "-g")
	if c.h.options.NoSudo && c.p.user != "root" {
		return c.fail(1, "a password is required")
	}
	user := "root"
	if i := slices.Index(c.args, "-u"); i >= 0 && i < len(c.args)-len(rest) {
		user = c.args[i+1]
	}
	c.env = sorted([]string{"HOME=" + c.h.home(user), "USER=" + user, "LOGNAME=" + user, "SUDO_USER=" + c.p.user,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SHELL=/bin/bash"})
	return c.as(rest, func(p *process) { p.user = user })
}

// setpriv knows --reuid; runuser knows -u.
func setpriv(c *call) error {
	user := c.p.user
	for _, arg := range c.args {
		if value, ok := strings.CutPrefix(arg, "--reuid="); ok {
			user = value
		}
	}
	return c.become(user, operandsOf(c.args, "--reuid", "--regid", "--groups"))
}

func runuser(c *call) error {
	user := c.p.user
	if i := slices.Index(c.args, "-u"); i >= 0 && i+1 < len(c.args) {
		user = c.args[i+1]
	}
	return c.become(user, operandsOf(c.args, "-u", "-g", "-G"))
}

func (c *call) become(user string, args []string) error {
	switch {
	case c.h.unknownUser(user):
		return c.fail(1, "user %s does not exist", user)
	case c.p.user != "root" && c.p.user != user:
		return c.fail(1, "Operation not permitted")
	}
	return c.as(args, func(p *process) { p.user, p.mine = user, true })
}

// flock holds the lock of a path while its command runs. -E STATUS, -w SECONDS, -n; shared locks are exclusive here.
func flock(c *call) error {
	status, wait, rest, err := flockOptions(c.args)
	if err != nil || len(rest) < 2 {
		return c.fail(64, "bad usage")
	}
	path := c.path(rest[0])
	c.h.mu.Lock()
	_, err = c.h.createAs(c.p, path, 0o666)
	c.h.mu.Unlock()
	if err != nil {
		return c.fail(66, "cannot open lock file %s: %v", rest[0], err)
	}
	p := c.p.child()
	held, err := c.h.lock(c.ctx, p, path, wait)
	if err != nil {
		return err
	}
	if !held {
		return exit(status)
	}
	defer c.h.unlock(c.ctx, p, path)
	rest = rest[1:]
	if rest[0] == "-c" && len(rest) > 1 {
		rest = []string{"/bin/sh", "-c", rest[1]}
	}
	next := *c
	next.p, next.ctx = p, context.WithValue(c.ctx, processKey{}, p)
	return next.exec(rest)
}

func flockOptions(args []string) (status int, wait time.Duration, rest []string, err error) {
	status, wait = 1, forever/4
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-E", "--conflict-exit-code":
			status, err = strconv.Atoi(args[1])
			args = args[1:]
		case "-w", "--timeout", "--wait":
			wait, err = seconds(args[1])
			args = args[1:]
		case "-n", "--nonblock":
			wait = 0
		}
		if err != nil {
			return 0, 0, nil, err
		}
		args = args[1:]
	}
	return status, wait, args, nil
}

// lock waits at most d of the host's time for the lock of path.
func (h *Host) lock(ctx context.Context, p *process, path string, d time.Duration) (bool, error) {
	until := h.Uptime() + d
	for {
		h.mu.Lock()
		holder, changed, up := h.locks[path], h.clock.changed, h.clock.up
		if holder == nil {
			h.locks[path] = p
			h.takeLease(path)
		}
		h.mu.Unlock()
		switch {
		case holder == nil:
			return true, nil
		case up >= until:
			return false, nil
		case holder.top == p.top && p.unit == "":
			return false, h.waitLocked(ctx, p, until) // its own lock: nobody else will give it back
		case holder.unit == "" && p.unit == "":
			// another session holds it, and runs on in reality
			select {
			case <-changed:
			case <-ctx.Done():
				return false, context.Cause(ctx)
			}
		default:
			free := func() bool { return h.locks[path] == nil }
			if err := h.clock.wait(ctx, p, until, free); err != nil {
				return false, err
			}
		}
	}
}

func (h *Host) waitLocked(ctx context.Context, p *process, until time.Duration) error {
	err := h.clock.wait(ctx, p, until, nil)
	return err
}

// unlock gives the lock back and lets those go on who waited for it.
func (h *Host) unlock(ctx context.Context, p *process, path string) {
	h.mu.Lock()
	if h.locks[path] == p {
		delete(h.locks, path)
	}
	h.clock.notify()
	h.mu.Unlock()
	if p.unit == "" {
		h.clock.kick(ctx)
	}
}
