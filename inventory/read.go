package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// maxInventory is far beyond any inventory people write.
const maxInventory = 4 << 20

// Read reads the inventory file at path and the local files it names. When their content
// is at fault the error is a *ProblemsError with every problem found.
func Read(path string) (*Inventory, error) {
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("read inventory %s: %w", path, err)
	}
	content, err := readRegular(path, maxInventory)
	if err != nil {
		return nil, fmt.Errorf("read inventory %s: %w", path, err)
	}
	home, _ := os.UserHomeDir() // asked for only when a path starts with ~
	r := &reader{path: path, dir: dir, home: home}
	inventory := r.inventory(string(content))
	if len(r.problems) > 0 {
		return nil, &ProblemsError{Problems: sortProblems(r.problems, path)}
	}
	return inventory, nil
}

// reader collects the problems of one inventory and the files it names.
type reader struct {
	path     string
	dir      string
	home     string
	newlines []int // offsets in the inventory, to turn an offset into a line
	problems []Problem
}

func (r *reader) add(problem Problem) { r.problems = append(r.problems, problem) }

// lineOf returns the line of an offset in the inventory.
func (r *reader) lineOf(offset int) int {
	return 1 + sort.SearchInts(r.newlines, offset)
}

func (r *reader) inventory(text string) *Inventory {
	text = strings.TrimPrefix(text, "\ufeff")
	for i := range len(text) {
		if text[i] == '\n' {
			r.newlines = append(r.newlines, i)
		}
	}
	root, ok := r.parse(text)
	if !ok {
		return nil
	}
	inventory := &Inventory{Path: r.path, Dir: r.dir}
	ssh, _ := root.table("ssh")
	inventory.SSH = ssh.ssh()
	inventory.Services = root.services()
	inventory.Environments = root.environments(inventory.Services)
	root.finish()
	return inventory
}

// parse turns text into its root table. A syntax error hides everything after it, so it
// is the only problem reported.
func (r *reader) parse(text string) (*table, bool) {
	at, deep := places(text)
	if deep > 0 {
		r.add(Problem{r.path, deep, fmt.Sprintf("nested deeper than %d", maxDepth), "an inventory needs far less: look for a bracket too many"})
		return nil, false
	}
	var values map[string]any
	_, err := toml.Decode(text, &values)
	if err == nil {
		root := r.newTable("", values, at, 1)
		return root, true
	}
	problem := Problem{File: r.path, Line: 1, Message: "not TOML: " + oneLine(err.Error())}
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		// the library leaves the text where its end is in an escape
		problem.Line = max(1, min(syntax.Position.Line, 1+strings.Count(text, "\n")))
		problem.Message = "not TOML: " + oneLine(syntax.Message)
	}
	problem.Hint = `strings stand in "quotes", tables are [a.b], lists of tables [[a.b]], and each key comes once`
	r.add(problem)
	return nil, false
}

// ssh reads the [ssh] table. Keys are read in the order the hints list them.
func (t *table) ssh() SSH {
	ssh := SSH{
		User:           t.text("user", "", userRule),
		IdentityFiles:  t.localPaths("identity_files"),
		KnownHosts:     t.localPaths("known_hosts"),
		ConnectTimeout: t.duration("connect_timeout", 10*time.Second, span{100 * time.Millisecond, 10 * time.Minute, 0}),
		UseSSHConfig:   t.flag("use_ssh_config", true),
	}
	t.finish()
	return ssh
}

// localPaths reads paths on this computer; they are made absolute but not opened.
func (t *table) localPaths(key string) []string {
	var paths []string
	for _, path := range t.names(key, lineRule, filledRule) {
		if path == "~" || strings.HasPrefix(path, "~/") {
			if t.home == "" {
				t.problem(key, key+" "+quote(path)+" needs a home directory", "set HOME, or write the whole path")
				continue
			}
			paths = append(paths, filepath.Join(t.home, path[1:]))
			continue
		}
		if strings.HasPrefix(path, "~") {
			t.problem(key, key+" "+quote(path)+" is in somebody else's home", "write the whole path")
			continue
		}
		paths = append(paths, t.local(path))
	}
	return paths
}

// local resolves a path that is relative to the inventory file.
func (r *reader) local(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(r.dir, path)
}

// environments reads [environments.*].
func (t *table) environments(services []*Service) []*Environment {
	all, _ := t.table("environments")
	names := all.at.inFileOrder(all.values)
	if len(names) == 0 {
		t.problem("environments", "no environment", "add [environments.staging] with one [[environments.staging.hosts]] per host")
	}
	var environments []*Environment
	tables := map[string]*table{}
	for _, name := range names {
		all.named(name, nameRule)
		tables[name], _ = all.table(name)
		environments = append(environments, tables[name].environment(name, requireRule(name, names), services))
	}
	circles(environments, tables)
	return environments
}

// services reads [services.*].
func (t *table) services() []*Service {
	all, _ := t.table("services")
	names := all.at.inFileOrder(all.values)
	if len(names) == 0 {
		t.problem("services", "no service", `add [services.NAME] with unit = "NAME.service"`)
	}
	var services []*Service
	for _, name := range names {
		all.named(name, serviceNameRule)
		service, _ := all.table(name)
		services = append(services, service.service(name))
	}
	return services
}

// named checks a name that is written as a key.
func (t *table) named(name string, rules ...rule) {
	t.obeys(t.keyLine(name), "name", name, rules)
}
