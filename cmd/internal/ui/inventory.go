package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// InventoryEnvironment is an environment as it was read. Like the other rows it is a line of JSON.
type InventoryEnvironment struct {
	Type        string   `json:"type"`
	Environment string   `json:"environment"`
	Confirm     bool     `json:"confirm"`
	Require     []string `json:"require,omitempty"`
	Canary      string   `json:"canary,omitempty"` // a number of hosts, or @TAG
	Waves       []string `json:"waves"`
	Pause       string   `json:"pause"`
	MaxParallel int      `json:"max_parallel"`
	MaxFailed   string   `json:"max_failed"`
	Unreachable string   `json:"unreachable"`
	OnFailure   string   `json:"on_failure"`
}

// InventoryHost is a host of an environment, and the way to it.
type InventoryHost struct {
	Type        string   `json:"type"`
	Environment string   `json:"environment"`
	Host        string   `json:"host"`
	Address     string   `json:"address"` // as the inventory has it
	User        string   `json:"user"`    // who logs in
	Route       []string `json:"route"`   // USER@HOST:PORT of each bastion, and of the host itself
	Tags        []string `json:"tags,omitempty"`
	HostKey     string   `json:"host_key,omitempty"` // when it is pinned
	Services    []string `json:"services"`
}

// InventoryService is a service.
type InventoryService struct {
	Type         string           `json:"type"`
	Service      string           `json:"service"`
	Units        []string         `json:"units"` // that are started and watched
	Files        []InventoryFile  `json:"files"`
	Directory    string           `json:"directory,omitempty"` // of the logs: PATH OWNER:GROUP MODE
	Checks       []InventoryCheck `json:"checks,omitempty"`
	StartTimeout string           `json:"start_timeout"`
	Window       string           `json:"window"`
	Verify       []string         `json:"verify,omitempty"` // what must be true then
	RefuseDrift  bool             `json:"refuse_drift"`
}

// InventoryFile is a local file and its place on hosts.
type InventoryFile struct {
	Path   string `json:"path"`
	Target string `json:"target"`
	Digest string `json:"digest"` // sha256
}

// InventoryCheck is a check.
type InventoryCheck struct {
	Check    string `json:"check"`
	Severity string `json:"severity"`
	What     string `json:"what"` // in words
}

// Inventory shows what was read: for each environment its rollout and its hosts, those that are alike together; then the services.
func Inventory(w io.Writer, environments []InventoryEnvironment, hosts []InventoryHost, services []InventoryService) {
	for _, e := range environments {
		of := slices.DeleteFunc(slices.Clone(hosts), func(h InventoryHost) bool { return h.Environment != e.Environment })
		_, _ = fmt.Fprintf(w, "environment %s: %s\n  rollout   %s\n", e.Environment, plural(len(of), "host"), e.rollout())
		inventoryHosts(w, of)
	}
	for _, s := range services {
		s.print(w)
	}
}

func (e InventoryEnvironment) rollout() string {
	var words []string
	if e.Canary != "" {
		words = append(words, "canary "+e.Canary+" first")
	}
	words = append(words, "waves "+strings.Join(e.Waves, ", "))
	if e.Pause != "0s" {
		words = append(words, "a pause of "+e.Pause+" between")
	}
	words = append(words, fmt.Sprintf("at most %d hosts at once", e.MaxParallel), "max_failed "+e.MaxFailed,
		"unreachable: "+e.Unreachable, "on_failure: "+e.OnFailure)
	if e.Require != nil {
		words = append(words, "only what is committed on "+strings.Join(e.Require, ", "))
	}
	if e.Confirm {
		words = append(words, "asks first, or wants --yes")
	}
	return strings.Join(words, "; ")
}

func inventoryHosts(w io.Writer, hosts []InventoryHost) {
	var f fold
	width := 0
	for _, h := range hosts {
		width = max(width, len(h.Host))
	}
	for _, h := range hosts {
		f.add(h.common(), fmt.Sprintf("%-*s  %s", width, h.Host, h.way()))
	}
	for _, entry := range f.entries {
		_, _ = fmt.Fprintf(w, "  hosts     %s\n", entry)
		for _, h := range f.who[entry] {
			_, _ = fmt.Fprintf(w, "    %s\n", h)
		}
	}
}

// common is what may be the same for several hosts.
func (h InventoryHost) common() string {
	text := strings.Join(h.Services, ", ")
	if len(h.Tags) > 0 {
		text += "  @" + strings.Join(h.Tags, " @")
	}
	if n := len(h.Route); n > 1 {
		text += "  through " + strings.Join(h.Route[:n-1], ", ")
	}
	return text
}

// way is where the connection goes, and what the inventory says when that is another name.
func (h InventoryHost) way() string {
	way := h.Route[len(h.Route)-1]
	if !strings.Contains(way, "@"+h.Address) {
		way += "  (" + h.Address + ")"
	}
	if h.HostKey != "" {
		way += "  " + h.HostKey
	}
	return way
}

func (s InventoryService) print(w io.Writer) {
	line := func(what, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "  %-8s  %s\n", what, fmt.Sprintf(format, args...))
	}
	_, _ = fmt.Fprintf(w, "service %s: %s\n", s.Service, strings.Join(s.Units, ", "))
	for _, f := range s.Files {
		line("file", "%s -> %s (%s)", f.Path, f.Target, f.Digest[:min(8, len(f.Digest))])
	}
	if s.Directory != "" {
		line("logs", "%s", s.Directory)
	}
	for _, c := range s.Checks {
		name := c.Check
		if c.Severity != "error" {
			name += " (" + c.Severity + ")"
		}
		line("check", "%s: %s", Clean(name), Clean(c.What))
	}
	line("settle", "active within %s, then undisturbed for %s", s.StartTimeout, s.Window)
	for _, v := range s.Verify {
		line("verify", "%s", Clean(v))
	}
	if s.RefuseDrift {
		line("drift", "is refused")
	}
}

// InventoryProblem is one thing that is wrong; a line of JSON.
type InventoryProblem struct {
	Type string `json:"type"`
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// InventoryChecked is the line of JSON for an inventory in which nothing is wrong.
type InventoryChecked struct {
	Type         string `json:"type"`
	File         string `json:"file"`
	Environments int    `json:"environments"`
	Hosts        int    `json:"hosts"`
	Services     int    `json:"services"`
}

// String is the line for people.
func (c InventoryChecked) String() string {
	return fmt.Sprintf("%s is good: %s, %s, %s", c.File, plural(c.Environments, "environment"), plural(c.Hosts, "host"), plural(c.Services, "service"))
}
