package sshtest

import (
	"fmt"
	"path"
	"strings"
)

// Enabling and disabling: links in the .wants and .requires directories of targets. Aliases and Also= do not exist here.

// enable makes the links that [Install] asks for, and tells of each.
func (m *manager) enable(name string) ([]string, error) {
	f, state := m.h.tree.loadUnit(name)
	switch state {
	case "not-found":
		return nil, m.noUnit(name)
	case "masked":
		return nil, fmt.Errorf("Unit file %s is masked.", name) //nolint:staticcheck // systemctl's words
	}
	var told []string
	for _, kind := range [][2]string{{"WantedBy", ".wants"}, {"RequiredBy", ".requires"}} {
		for _, value := range f.values["Install."+kind[0]] {
			for target := range strings.FieldsSeq(value) {
				line, err := m.link("/etc/systemd/system/"+target+kind[1], name, f.fragment)
				if err != nil {
					return told, err
				}
				told = append(told, line...)
			}
		}
	}
	return told, nil
}

func (m *manager) link(dir, name, target string) ([]string, error) {
	t, where := m.h.tree, dir+"/"+name
	if n, err := t.get(where, false); err == nil && n.target == target {
		return nil, nil
	}
	if err := t.mkdirAll(dir, 0o755, "root"); err != nil {
		return nil, err
	}
	_ = t.remove(where, false)
	if err := t.symlink(target, where, "root"); err != nil {
		return nil, err
	}
	format := "Created symlink %s -> %s."
	if m.h.options.Systemd >= 257 {
		format = "Created symlink '%s' -> '%s'."
	}
	return []string{fmt.Sprintf(format, where, target)}, nil
}

// disable removes the unit's links, and tells of each.
func (m *manager) disable(name string) ([]string, error) {
	if _, state := m.h.tree.loadUnit(name); state == "not-found" {
		return nil, m.noUnit(name)
	}
	var told []string
	for _, root := range []string{"/etc/systemd/system", "/run/systemd/system"} {
		n, err := m.h.tree.get(root, true)
		if err != nil {
			continue
		}
		for _, dir := range n.names() {
			ext := path.Ext(dir)
			if (ext == ".wants" || ext == ".requires") && n.children[dir].children[name] != nil {
				delete(n.children[dir].children, name)
				told = append(told, m.removed(path.Join(root, dir, name)))
			}
		}
	}
	return told, nil
}

func (m *manager) removed(link string) string {
	switch v := m.h.options.Systemd; {
	case v < 250:
		return "Removed " + link + "."
	case v < 257:
		return `Removed "` + link + `".`
	}
	return "Removed '" + link + "'."
}

// noUnit is systemctl's answer for a unit without a file.
func (m *manager) noUnit(name string) error {
	if m.h.options.Systemd >= 257 {
		return fmt.Errorf("Unit %s does not exist", name) //nolint:staticcheck // systemctl's words
	}
	return fmt.Errorf("Unit file %s does not exist.", name) //nolint:staticcheck // systemctl's words
}
