package inventory

import (
	"fmt"
	"slices"
	"strings"
)

// requireRule wants the name of another environment.
func requireRule(name string, known []string) rule {
	others := slices.DeleteFunc(slices.Clone(known), func(other string) bool { return other == name })
	return func(value string) (string, string) {
		switch {
		case value == name:
			return "is this environment itself", "name the environments whose hosts must have a release before these"
		case len(others) == 0:
			return "is not known here", "there is no other environment"
		}
		return oneOf(others...)(value)
	}
}

// circles reports environments that wait for each other.
func circles(environments []*Environment, tables map[string]*table) {
	requires := map[string][]string{}
	for _, e := range environments {
		requires[e.Name] = e.Require
	}
	reported := map[string]bool{}
	for _, e := range environments {
		circle := way(requires, e.Name, e.Name, map[string]bool{})
		if circle == nil || reported[e.Name] {
			continue
		}
		for _, name := range circle {
			reported[name] = true
		}
		tables[e.Name].problem("require", fmt.Sprintf("require goes in a circle: %s", strings.Join(append([]string{e.Name}, circle...), ", ")),
			"leave one of them out: no release could ever be the first")
	}
}

// way leads from one environment to another along what they require; nil: there is none.
func way(requires map[string][]string, from, to string, seen map[string]bool) []string {
	for _, next := range requires[from] {
		if next == to {
			return []string{next}
		}
		if seen[next] {
			continue
		}
		seen[next] = true
		if rest := way(requires, next, to, seen); rest != nil {
			return append([]string{next}, rest...)
		}
	}
	return nil
}
