package sshtest

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
)

// Commands that tell something about the host.

func infoCommands() map[string]command {
	return map[string]command{
		"stat": statCommand, "readlink": readlink, "realpath": realpath, "ls": ls, "id": id, "whoami": whoami,
		"getent": getent, "uname": uname, "hostname": hostname, "date": date, "df": df, "dirname": dirname,
		"basename": basename, "env": env, "printenv": printenv, "logger": logger, "nproc": nproc,
	}
}

func statCommand(c *call) error {
	options, operands := c.options("c")
	format, ok := options["c"]
	if !ok {
		format = options["--format"]
	}
	return c.forEach(operands, "cannot statx", func(p string) error {
		n, err := c.h.tree.get(p, has(options, "L"))
		if err == nil {
			c.out("%s\n", statFormat(format, p, n))
		}
		return err
	})
}

func statFormat(format, p string, n *node) string {
	return strings.NewReplacer("%%", "%", "%F", kindOf(n), "%a", strconv.FormatUint(uint64(n.perm), 8), "%n", p,
		"%U", n.owner, "%G", n.group, "%u", strconv.Itoa(uid(n.owner)), "%g", strconv.Itoa(uid(n.group)),
		"%s", strconv.Itoa(len(n.data)), "%Y", strconv.FormatInt(n.modified.Unix(), 10), "%i", strconv.Itoa(n.inode),
		"%h", "1", "%A", longMode(n), "%N", "'"+p+"'").Replace(format)
}

func kindOf(n *node) string {
	switch n.kind {
	case fs.ModeDir:
		return "directory"
	case fs.ModeSymlink:
		return "symbolic link"
	case charDevice:
		return "character special file"
	}
	if len(n.data) == 0 {
		return "regular empty file"
	}
	return "regular file"
}

func longMode(n *node) string {
	kinds := map[fs.FileMode]string{0: "-", fs.ModeDir: "d", fs.ModeSymlink: "l", charDevice: "c"}
	return kinds[n.kind] + n.perm.String()[1:]
}

func readlink(c *call) error {
	options, operands := c.options("")
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	errs := 0
	for _, name := range operands {
		p, err := c.target(options, c.path(name))
		if err != nil {
			errs++
			continue
		}
		c.out("%s\n", p)
	}
	return exitIf(errs > 0)
}

func (c *call) target(options map[string]string, p string) (string, error) {
	if !has(options, "f", "e", "m") {
		n, err := c.h.tree.get(p, false)
		if err == nil && n.kind != fs.ModeSymlink {
			err = invalid()
		}
		if err != nil {
			return "", err
		}
		return n.target, nil
	}
	at, err := c.h.tree.find(p, true)
	if err == nil && at.node == nil && has(options, "e") {
		err = noEntry()
	}
	return at.path, err
}

func realpath(c *call) error {
	c.args = append([]string{"-f"}, c.args...)
	return readlink(c)
}

func ls(c *call) error {
	options, operands := c.options("")
	if len(operands) == 0 {
		operands = []string{"."}
	}
	return c.forEach(operands, "cannot access", func(p string) error {
		n, err := c.h.tree.get(p, !has(options, "l", "d"))
		if err != nil {
			return err
		}
		if n.kind == fs.ModeSymlink && has(options, "l") && !has(options, "d") {
			if to, err := c.h.tree.get(p, true); err == nil && to.dir() {
				n = to
			}
		}
		c.list(options, p, n)
		return nil
	})
}

func (c *call) list(options map[string]string, p string, n *node) {
	if !n.dir() || has(options, "d") {
		c.entry(options, p, n)
		return
	}
	for _, name := range n.names() {
		if !strings.HasPrefix(name, ".") || has(options, "a", "A") {
			c.entry(options, name, n.children[name])
		}
	}
}

func (c *call) entry(options map[string]string, name string, n *node) {
	if !has(options, "l") {
		c.out("%s\n", name)
		return
	}
	if n.kind == fs.ModeSymlink {
		name += " -> " + n.target
	}
	c.out("%s 1 %s %s %d %s %s\n", longMode(n), n.owner, n.group, len(n.data), n.modified.UTC().Format("Jan _2 15:04"), name)
}

// uid of a name: a few as everywhere, the others computed, so that each has one.
func uid(name string) int {
	if number, err := strconv.Atoi(name); err == nil {
		return number
	}
	known := map[string]int{"root": 0, "daemon": 1, "adm": 4, "www-data": 33, "nobody": 65534, "nogroup": 65534, "deploy": 1000}
	if number, ok := known[name]; ok {
		return number
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name))
	return 1001 + int(hash.Sum32()%20000)
}

func (h *Host) unknownUser(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.missing[name]
}

func id(c *call) error {
	options, operands := c.options("")
	name := c.p.user
	if len(operands) > 0 {
		name = operands[0]
		if c.h.unknownUser(name) {
			return c.fail(1, "'%s': no such user", name)
		}
	}
	number := uid(name)
	switch {
	case has(options, "n"):
		c.out("%s\n", name)
	case has(options, "u", "g", "G"):
		c.out("%d\n", number)
	default:
		c.out("uid=%d(%s) gid=%d(%s) groups=%d(%s)\n", number, name, number, name, number, name)
	}
	return nil
}

func whoami(c *call) error {
	c.out("%s\n", c.p.user)
	return nil
}

func getent(c *call) error {
	if len(c.args) < 2 {
		return exit(1)
	}
	name := c.args[1]
	if c.h.unknownUser(name) {
		return exit(2)
	}
	switch c.args[0] {
	case "passwd":
		c.out("%s:x:%d:%d::%s:/bin/sh\n", name, uid(name), uid(name), c.h.home(name))
	case "group":
		c.out("%s:x:%d:\n", name, uid(name))
	default:
		return exit(1)
	}
	return nil
}

func uname(c *call) error {
	options, _ := c.options("")
	facts := []struct{ option, value string }{
		{"s", "Linux"}, {"n", c.h.name}, {"r", "6.1.0-18-amd64"}, {"m", "x86_64"}}
	var words []string
	for _, fact := range facts {
		if has(options, fact.option, "a") || len(options) == 0 && fact.option == "s" {
			words = append(words, fact.value)
		}
	}
	c.out("%s\n", strings.Join(words, " "))
	return nil
}

func hostname(c *call) error {
	c.out("%s\n", c.h.name)
	return nil
}

func nproc(c *call) error {
	c.out("2\n")
	return nil
}

func date(c *call) error {
	format := "+%a %b %e %H:%M:%S UTC %Y"
	for _, arg := range c.args {
		if strings.HasPrefix(arg, "+") {
			format = arg
		}
	}
	c.h.mu.Lock()
	now := c.h.clock.wall().UTC()
	c.h.mu.Unlock()
	c.out("%s\n", strftime(format[1:], now))
	return nil
}

func strftime(format string, t time.Time) string {
	return strings.NewReplacer("%s", strconv.FormatInt(t.Unix(), 10), "%Y", t.Format("2006"), "%m", t.Format("01"),
		"%d", t.Format("02"), "%H", t.Format("15"), "%M", t.Format("04"), "%S", t.Format("05"), "%N", t.Format("000000000"),
		"%F", t.Format("2006-01-02"), "%T", t.Format("15:04:05"), "%z", "+0000", "%Z", "UTC", "%a", t.Format("Mon"),
		"%b", t.Format("Jan"), "%e", t.Format("_2"), "%%", "%").Replace(format)
}

// df shows a disk and the tmpfs of /run, half full.
func df(c *call) error {
	options, operands := c.options("")
	if has(options, "i") {
		c.out("Filesystem      Inodes  IUsed   IFree IUse%% Mounted on\n")
	} else {
		c.out("Filesystem     1024-blocks     Used Available Capacity Mounted on\n")
	}
	return c.forEach(operands, "", func(p string) error {
		at, err := c.h.tree.find(p, true)
		if err == nil && at.node == nil {
			err = noEntry()
		}
		if err != nil {
			return err
		}
		device, mount, size := "/dev/sda1", "/", 20000000
		if volatile(at.path) {
			device, mount, size = "tmpfs", "/run", 400000
		}
		free := size / 2
		if c.h.tree.allow("write", path.Join(at.path, "x")) != nil {
			free = 0
		}
		c.out("%-14s %d %d %d %d%% %s\n", device, size, size-free, free, 100*(size-free)/size, mount)
		return nil
	})
}

func dirname(c *call) error {
	_, operands := c.options("")
	for _, p := range operands {
		c.out("%s\n", path.Dir(p))
	}
	return nil
}

func basename(c *call) error {
	_, operands := c.options("")
	if len(operands) == 0 {
		return c.fail(1, "missing operand")
	}
	name := path.Base(operands[0])
	if len(operands) > 1 && name != operands[1] {
		name = strings.TrimSuffix(name, operands[1])
	}
	c.out("%s\n", name)
	return nil
}

func printenv(c *call) error {
	for _, pair := range c.environment() {
		name, value, _ := strings.Cut(pair, "=")
		if len(c.args) == 0 {
			fmt.Fprintln(c.stdout, pair)
		} else if name == c.args[0] {
			fmt.Fprintln(c.stdout, value)
			return nil
		}
	}
	return exitIf(len(c.args) > 0)
}

func logger(c *call) error {
	options, operands := c.options("tp")
	tag, ok := options["t"]
	if !ok {
		tag = c.p.user
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.h.log(line{unit: c.p.unit, tag: tag, pid: c.p.pid, text: strings.Join(operands, " ")})
	return nil
}
