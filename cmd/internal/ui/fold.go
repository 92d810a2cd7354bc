package ui

import (
	"fmt"
	"strings"
)

// fold puts names that go with the same entry together; entries stay in the order in which they first came.
type fold struct {
	entries []string
	who     map[string][]string
}

func (f *fold) add(entry, name string) {
	if f.who == nil {
		f.who = map[string][]string{}
	}
	if f.who[entry] == nil {
		f.entries = append(f.entries, entry)
	}
	f.who[entry] = append(f.who[entry], name)
}

// everyName names all of them, unless it is everyone there is.
func everyName(names []string, all int) string {
	if len(names) == all && all > 1 {
		return fmt.Sprintf("all %d hosts", all)
	}
	return strings.Join(names, ", ")
}

// labelled is a release as people read it.
func labelled(release, label string) string {
	if label == "" {
		return release
	}
	return release + " (" + label + ")"
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
