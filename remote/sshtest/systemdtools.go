package sshtest

import (
	"path"
	"slices"
	"strings"
	"time"
)

// systemdRun starts a transient service whose program is a script that the interpreter really runs. Timers, scopes,
// --wait and --pty do not exist here.
func systemdRun(c *call) error {
	name, f, err := c.transient()
	if err != nil {
		return err
	}
	m := c.h.systemd
	c.h.mu.Lock()
	if reason := c.h.runRefused(); reason != nil {
		c.h.mu.Unlock()
		return c.plainly("Failed to start transient service unit: %v", reason)
	}
	if u := m.units[name]; u != nil && !u.forgotten() || c.h.tree.known(name) {
		c.h.mu.Unlock()
		if c.h.options.Systemd < 250 {
			return c.plainly("Failed to start transient service unit: Unit %s already exists.", name)
		}
		return c.plainly("Failed to start transient service unit: Unit %s was already loaded or has a fragment file.", name)
	}
	m.transient[name] = f
	delete(m.units, name)
	u := m.find(name)
	u.collect = len(f.values["collect"]) > 0
	j := u.enqueue("start")
	c.h.mu.Unlock()
	if err := c.h.clock.wait(c.ctx, c.p, c.h.Uptime()+time.Minute, func() bool { return j.result != "" }); err != nil {
		return err
	}
	if len(f.values["quiet"]) == 0 {
		_ = c.plainly("Running as unit: %s", name)
	}
	if j.result != "done" {
		return c.plainly("Job for %s failed.", name)
	}
	return nil
}

func (t *tree) known(name string) bool { where, _ := t.locate(name); return where != "" }

// transient reads systemd-run's command line into a unit.
func (c *call) transient() (string, *unitFile, error) {
	f := &unitFile{values: map[string][]string{}, stamps: map[string]time.Time{}}
	name := ""
	args := c.args
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		if !joined && slices.Contains([]string{"-p", "--property", "--unit", "-u", "--description"}, option) && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		switch option {
		case "--unit", "-u":
			name = unitName(value)
		case "-p", "--property":
			f.property(value)
		case "--quiet", "-q":
			f.values["quiet"] = []string{"yes"}
		case "--collect", "-G":
			f.values["collect"] = []string{"yes"}
		case "--description":
			f.property("Description=" + value)
		case "--":
		default:
			return "", nil, c.fail(1, "the embedded host's systemd-run does not know %s", option)
		}
	}
	if name == "" {
		c.h.mu.Lock()
		name = "run-r" + c.h.id() + ".service"
		c.h.mu.Unlock()
	}
	if len(args) == 0 || strings.Contains(args[0], "/nonexistent") {
		return "", nil, c.plainly("Failed to find executable %s: No such file or directory", strings.Join(args, " "))
	}
	f.fragment = path.Join("/run/systemd/transient", name)
	f.values["exec"] = args
	f.values["Service."] = nil
	f.values["Service.ExecStart"] = []string{strings.Join(args, " ")}
	return name, f, nil
}

func (f *unitFile) property(assignment string) {
	key, value, _ := strings.Cut(assignment, "=")
	section := "Service."
	if key == "Description" || strings.HasPrefix(key, "StartLimit") {
		section = "Unit."
	}
	f.values[section+key] = append(f.values[section+key], value)
}

// systemdAnalyze knows `verify` with default rules and `--version`: statuses as the real one, texts nearly so.
func systemdAnalyze(c *call) error {
	var words []string
	for _, arg := range c.args {
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
		}
	}
	if len(words) == 0 || words[0] != "verify" {
		return c.fail(1, "the embedded host's systemd-analyze only knows verify")
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	bad := 0
	for _, file := range words[1:] {
		if !c.verify(file) {
			bad++
		}
	}
	return exitIf(bad > 0)
}

// verify prints what is wrong with one file, and says whether it may be installed.
func (c *call) verify(file string) bool {
	name := path.Base(file)
	data, err := c.h.tree.read(c.path(file))
	switch {
	case err != nil:
		_ = c.plainly("Failed to prepare filename %s: %v", file, err)
		return false
	case strings.HasPrefix(name, ".") || !slices.Contains([]string{".service", ".socket", ".timer", ".path", ".target", ".mount"}, path.Ext(name)):
		_ = c.plainly("Failed to prepare filename %s: Invalid argument", file)
		return false
	case len(data) == 0:
		_ = c.plainly("Unit %s is masked.", name)
		return false
	}
	if reason := c.h.verifyRefused(name); reason != "" {
		_ = c.plainly("%s: %s", file, reason)
		return false
	}
	f := &unitFile{fragment: file, values: map[string][]string{}, stamps: map[string]time.Time{}}
	f.add(file, string(data), c.h.clock.wall())
	c.warn(file, string(data))
	for _, dropIn := range c.h.tree.dropIns(name) {
		if more, err := c.h.tree.read(dropIn); err == nil {
			f.add(dropIn, string(more), c.h.clock.wall())
		}
	}
	return c.judge(name, f)
}

func (c *call) judge(name string, f *unitFile) bool {
	if problem := f.problem(name); problem != "" {
		_ = c.plainly("%s: %s\nUnit %s has a bad unit file setting.", name, problem, name)
		return false
	}
	if path.Ext(name) != ".service" {
		return true
	}
	words := f.command(name)
	if f.behaviour(name, App{}).gone {
		_ = c.plainly("%s: Command %s is not executable: No such file or directory", name, words[0])
		return false
	}
	return true
}

// warn prints what systemd only ignores.
func (c *call) warn(file string, text string) {
	known := []string{"Unit", "Service", "Install", "Socket", "Timer", "Path", "Mount"}
	section := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
			if !slices.Contains(known, section) && !strings.HasPrefix(section, "X-") {
				_ = c.plainly("%s:%d: Unknown section '%s'. Ignoring.", file, i+1, section)
			}
		case line == "" || line[0] == '#' || line[0] == ';':
		case section == "":
			_ = c.plainly("%s:%d: Assignment outside of section. Ignoring.", file, i+1)
		case section == "Service" && strings.HasPrefix(line, "Type="):
			if value := line[5:]; !knownType(value) {
				_ = c.plainly(c.h.words("Failed to parse service type, ignoring: %[3]s",
					"Failed to parse Type=%[3]s, ignoring: Invalid argument", 257), file, i+1, value)
			}
		case section == "Service" && unknownKey(line):
			key, _, _ := strings.Cut(line, "=")
			_ = c.plainly(c.h.words("Unknown key name '%[3]s' in section 'Service', ignoring.",
				"Unknown key '%[3]s' in section [Service], ignoring.", 250), file, i+1, key)
		}
	}
}

// words is what systemd said about a line of a file before a version, or what it says since.
func (h *Host) words(before, since string, version int) string {
	if h.options.Systemd < version {
		return "%[1]s:%[2]d: " + before
	}
	return "%[1]s:%[2]d: " + since
}

func knownType(kind string) bool {
	return slices.Contains([]string{"simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"}, kind)
}

// unknownKey knows few wrong keys: those that people write in the wrong section.
func unknownKey(line string) bool {
	key, _, ok := strings.Cut(line, "=")
	return ok && slices.Contains([]string{"Description", "After", "Wants", "Requires", "WantedBy", "Foo", "Bogus"}, key)
}
