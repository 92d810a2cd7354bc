package steps

import (
	"cmp"
	"fmt"
	"strings"
)

// Action is what becomes of a file.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Remove Action = "remove"
	Keep   Action = "keep"
)

// FileChange is what a release does to one of its files. From and To are nil where there is no file.
type FileChange struct {
	Path   string     `json:"path"`
	Action Action     `json:"action"`
	From   *FileState `json:"from,omitempty"`
	To     *FileState `json:"to,omitempty"`
}

// FileState is a file without its bytes. Digest is SHA-256 in hex.
type FileState struct {
	Digest string `json:"digest"`
	Attributes
}

// Attributes of a file. Mode is octal digits; who has no name is a number.
type Attributes struct {
	Mode  string `json:"mode"`
	Owner string `json:"owner"`
	Group string `json:"group"`
}

// Words are for people: root:root mode 644.
func (a Attributes) Words() string { return fmt.Sprintf("%s:%s mode %s", a.Owner, a.Group, a.Mode) }

// usual is what new files get.
var usual = Attributes{"644", "root", "root"}

// UnitChange is what a plan does to one unit that it starts. Process and Since differ from host to host.
type UnitChange struct {
	Unit    string   `json:"unit"`
	Start   string   `json:"start"`             // restart, or start when it does not run
	Active  string   `json:"active"`            // now: active/running
	Process string   `json:"process,omitempty"` // main process that the restart ends
	Since   string   `json:"since,omitempty"`   // when it became active
	Enable  bool     `json:"enable,omitempty"`  // it starts at boot from then on
	DropIns []string `json:"drop_ins,omitempty"`
}

// FileChanges of the release, in the order of its files.
func (t Transaction) FileChanges() []FileChange {
	var all []FileChange
	for _, f := range t.Service.Files {
		c := FileChange{Path: f.Path, Action: Keep}
		have := t.Facts.File(f.Path)
		if have.Digest != none {
			c.From = &FileState{have.Digest, have.Attributes}
		}
		if f.Digest != none {
			c.To = &FileState{f.Digest, cmp.Or(f.Attributes, usual)}
		}
		switch {
		case c.From == nil && c.To == nil:
			continue
		case c.From == nil:
			c.Action = Create
		case c.To == nil:
			c.Action = Remove
		case *c.From != *c.To:
			c.Action = Update
		}
		all = append(all, c)
	}
	return all
}

// UnitChanges of the units that are started, in the inventory's order. Units of a first install are enabled at its commit.
func (t Transaction) UnitChanges(commits bool) []UnitChange {
	var all []UnitChange
	for _, r := range t.Service.Runs {
		u := t.Facts.Units[r.Unit]
		c := UnitChange{Unit: r.Unit, Start: "start", Active: cmp.Or(u["ActiveState"], "inactive") + "/" + cmp.Or(u["SubState"], "dead"),
			DropIns: strings.Fields(u["DropInPaths"]), Enable: commits && u["UnitFileState"] == "" && installable(t.Service, r.File)}
		switch u["ActiveState"] {
		case "active", "reloading", "activating", "deactivating":
			c.Start, c.Since = "restart", u["ActiveEnterTimestamp"]
			if pid := u["MainPID"]; pid != "0" {
				c.Process = pid
			}
		}
		all = append(all, c)
	}
	return all
}

// installable reports whether `systemctl enable` has anything to do for a unit.
func installable(s Service, path string) bool {
	install := false
	for line := range strings.Lines(string(s.File(path).Content)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			install = line == "[Install]"
		}
		key, value, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(key) {
		case "WantedBy", "RequiredBy", "UpheldBy", "Alias", "Also":
			if install && strings.TrimSpace(value) != "" {
				return true
			}
		}
	}
	return false
}
