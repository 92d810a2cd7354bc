package sshtest

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Finding and reading unit files.

// searchPath is systemd's, highest priority first.
func (t *tree) searchPath() []string {
	return []string{
		"/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient", "/etc/systemd/system",
		"/run/systemd/system", "/usr/local/lib/systemd/system", t.distribution,
	}
}

// unitFile is a unit as it was read: fragment and drop-ins.
type unitFile struct {
	fragment string
	dropIns  []string
	text     string              // all of it
	values   map[string][]string // Section.Key -> values, in order; an empty one forgets those before
	stamps   map[string]time.Time
	link     bool // the fragment is a symbolic link
}

func (f *unitFile) last(key string) string {
	values := f.values[key]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

func (f *unitFile) section(name string) bool { _, ok := f.values[name+"."]; return ok }

// template is foo@.service for foo@1.service.
func template(name string) string {
	prefix, rest, ok := strings.Cut(name, "@")
	suffix := path.Ext(rest)
	if !ok || rest == suffix {
		return ""
	}
	return prefix + "@" + suffix
}

func instance(name string) string {
	_, rest, _ := strings.Cut(name, "@")
	return strings.TrimSuffix(rest, path.Ext(rest))
}

// locate finds the fragment of a unit.
func (t *tree) locate(name string) (string, *node) {
	for _, candidate := range []string{name, template(name)} {
		for _, dir := range t.searchPath() {
			if n, err := t.get(path.Join(dir, candidate), false); err == nil && candidate != "" && !n.dir() {
				return path.Join(dir, candidate), n
			}
		}
	}
	return "", nil
}

// loadUnit reads a unit from disk; the state is LoadState.
func (t *tree) loadUnit(name string) (*unitFile, string) {
	where, n := t.locate(name)
	f := &unitFile{fragment: where, values: map[string][]string{}, stamps: map[string]time.Time{}}
	if n == nil {
		return f, "not-found"
	}
	if n.kind == fs.ModeSymlink {
		if n.target == "/dev/null" {
			return f, "masked"
		}
		f.link = true
	}
	data, err := t.read(where)
	if err != nil {
		return f, "error"
	}
	if len(data) == 0 {
		return f, "masked"
	}
	f.add(where, string(data), n.modified)
	for _, dropIn := range t.dropIns(name) {
		if data, err := t.read(dropIn); err == nil {
			n, _ := t.get(dropIn, true)
			f.dropIns = append(f.dropIns, dropIn)
			f.add(dropIn, string(data), n.modified)
		}
	}
	if f.problem(name) != "" {
		return f, "bad-setting"
	}
	return f, "loaded"
}

// dropIns are the files of NAME.d in all directories, by file name; the higher directory wins.
func (t *tree) dropIns(name string) []string {
	found := map[string]string{}
	for _, unit := range []string{name, template(name)} {
		for _, dir := range t.searchPath() {
			n, err := t.get(path.Join(dir, unit+".d"), true)
			if unit == "" || err != nil || !n.dir() {
				continue
			}
			for _, file := range n.names() {
				if _, taken := found[file]; !taken && strings.HasSuffix(file, ".conf") {
					found[file] = path.Join(dir, unit+".d", file)
				}
			}
		}
	}
	var paths []string
	for _, file := range slices.Sorted(maps.Keys(found)) {
		paths = append(paths, found[file])
	}
	return paths
}

// dropInDirs are all directories for drop-ins.
func (t *tree) dropInDirs() map[string]bool {
	found := map[string]bool{}
	for _, dir := range t.searchPath() {
		n, err := t.get(dir, true)
		if err != nil {
			continue
		}
		for _, name := range n.names() {
			if strings.HasSuffix(name, ".d") {
				found[path.Join(dir, name)] = true
			}
		}
	}
	return found
}

func (f *unitFile) add(where, text string, modified time.Time) {
	f.text += text
	f.stamps[where] = modified
	section := ""
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
			f.values[section+"."] = nil
		default:
			f.set(section, line)
		}
	}
}

func (f *unitFile) set(section, line string) {
	key, value, ok := strings.Cut(line, "=")
	if !ok || section == "" {
		return
	}
	full := section + "." + strings.TrimSpace(key)
	value = strings.TrimSpace(value)
	if value == "" {
		f.values[full] = nil
		return
	}
	f.values[full] = append(f.values[full], value)
}

// problem is why systemd would not load the unit.
func (f *unitFile) problem(name string) string {
	if path.Ext(name) != ".service" {
		return ""
	}
	starts, kind := f.values["Service.ExecStart"], f.serviceType()
	switch {
	case !f.section("Service"):
		return "Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing."
	case len(starts) == 0 && len(f.values["Service.ExecStop"]) == 0:
		return "Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing."
	case len(starts) == 0 && kind != "oneshot":
		return "Service has no ExecStart= setting, which is only allowed for Type=oneshot services. Refusing."
	case len(starts) > 1 && kind != "oneshot":
		return "Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing."
	case kind == "oneshot" && (f.last("Service.Restart") == "always" || f.last("Service.Restart") == "on-success"):
		return "Service has Restart= set to either always or on-success, which isn't allowed for Type=oneshot services. Refusing."
	}
	return ""
}

// serviceType is Type=, with simple for what systemd does not know.
func (f *unitFile) serviceType() string {
	switch kind := f.last("Service.Type"); kind {
	case "exec", "forking", "oneshot", "dbus", "notify", "idle":
		return kind
	case "notify-reload":
		return "notify"
	}
	return "simple"
}

func (f *unitFile) duration(key string, otherwise time.Duration) time.Duration {
	value := f.last(key)
	if d, err := seconds(strings.TrimSuffix(value, "sec")); err == nil {
		return d
	}
	if d, err := time.ParseDuration(strings.ReplaceAll(strings.Replace(value, "min", "m", 1), " ", "")); err == nil {
		return d
	}
	return otherwise
}

func (f *unitFile) restartDelay() time.Duration {
	return f.duration("Service.RestartSec", 100*time.Millisecond)
}

func (f *unitFile) startLimit() (burst int, interval time.Duration) {
	burst, err := strconv.Atoi(f.last("Unit.StartLimitBurst"))
	if err != nil {
		burst = 5
	}
	return burst, f.duration("Unit.StartLimitIntervalSec", f.duration("Service.StartLimitIntervalSec", 10*time.Second))
}

// command is ExecStart's program and its words. Quotes are taken off; specifiers are not expanded, but %i.
func (f *unitFile) command(name string) []string {
	words := unquote(strings.ReplaceAll(f.last("Service.ExecStart"), "%i", instance(name)))
	if len(words) > 0 {
		words[0] = strings.TrimLeft(words[0], "@-:+!")
	}
	return words
}

func unquote(line string) []string {
	var words []string
	var word strings.Builder
	quote, open := byte(0), false
	for i := 0; i < len(line); i++ {
		ch := line[i]
		switch {
		case quote != 0 && ch == quote:
			quote = 0
		case quote == 0 && (ch == '"' || ch == '\''):
			quote, open = ch, true
		case quote == 0 && (ch == ' ' || ch == '\t'):
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteByte(ch)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}

// behaviour is what the unit's program does, as the words of ExecStart tell.
type behaviour struct {
	crash  time.Duration // -1: never
	slow   time.Duration
	never  bool // never ready
	exit   int  // -1: runs on
	gone   bool // the program is missing
	listen []string
}

func (f *unitFile) behaviour(name string, app App) behaviour {
	b := behaviour{crash: -1, exit: -1, listen: app.Listen}
	words := f.command(name)
	first := true
	for _, word := range words {
		option, value, _ := strings.Cut(word, "=")
		switch option {
		case "--crash-after":
			b.crash, _ = seconds(value)
		case "--slow-start":
			b.slow, _ = seconds(value)
		case "--never-ready":
			b.never = true
		case "--exit":
			b.exit, _ = strconv.Atoi(value)
		case "--missing":
			b.gone = true
		case "--listen":
			if first {
				b.listen, first = nil, false
			}
			if value != "" && value != "none" {
				b.listen = append(slices.Clone(b.listen), value)
			}
		}
	}
	if len(words) > 0 && strings.Contains(words[0], "/nonexistent") {
		b.gone = true
	}
	return b
}
