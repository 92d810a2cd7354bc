package inventory

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong in the inventory, or in a file it names.
type Problem struct {
	File    string
	Line    int // 0: the file as a whole
	Message string
	Hint    string // what to write instead
}

// String is the form people read, the hint on a line of its own.
func (p Problem) String() string {
	text := p.File + ": " + p.Message
	if p.Line > 0 {
		text = fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
	if p.Hint != "" {
		text += "\n  hint: " + p.Hint
	}
	return text
}

// ProblemsError is every problem of an inventory: those of the inventory file first,
// then those of the files it names, each by line.
type ProblemsError struct {
	Problems []Problem
}

func (e *ProblemsError) Error() string {
	lines := make([]string, 0, len(e.Problems))
	for _, problem := range e.Problems {
		lines = append(lines, problem.String())
	}
	return strings.Join(lines, "\n")
}

// sortProblems puts the problems of the file first before all others, and drops repetitions:
// a unit that two services share is wrong only once.
func sortProblems(problems []Problem, first string) []Problem {
	sort.SliceStable(problems, func(i, j int) bool {
		a, b := problems[i], problems[j]
		if a.File != b.File {
			return a.File == first || (b.File != first && a.File < b.File)
		}
		return a.Line < b.Line
	})
	kept := problems[:0]
	seen := map[Problem]bool{}
	for _, problem := range problems {
		if !seen[problem] {
			kept = append(kept, problem)
		}
		seen[problem] = true
	}
	return kept
}

// UnknownError is a name that the inventory does not have.
type UnknownError struct {
	What  string   // "environment", "service", "host", "tag"
	Name  string   // what was asked for
	Known []string // what there is, in file order
	Tags  []string // tags there are, when hosts were selected
}

func (e *UnknownError) Error() string {
	if e.What == "host" && strings.ContainsAny(e.Name, globs) {
		return "no host matches " + quote(e.Name)
	}
	if e.What == "tag" {
		return "no host has the tag " + quote(e.Name)
	}
	return fmt.Sprintf("unknown %s %s", e.What, quote(e.Name))
}

// Hint names the nearest known name and lists the known ones.
func (e *UnknownError) Hint() string {
	var parts []string
	candidates := e.Known
	if e.What == "tag" {
		candidates = e.Tags
	}
	if near := nearest(e.Name, candidates); near != "" {
		parts = append(parts, "did you mean "+quote(near)+"?")
	}
	if e.What == "tag" || e.What == "host" {
		parts = append(parts, listing("hosts", e.Known), listing("tags", e.Tags))
	} else {
		parts = append(parts, listing("known", e.Known))
	}
	return strings.Join(parts, "; ")
}

// maxListed keeps a hint readable on a fleet of hundreds.
const maxListed = 20

func listing(label string, names []string) string {
	if len(names) == 0 {
		return label + ": none"
	}
	if more := len(names) - maxListed; more > 0 {
		return fmt.Sprintf("%s: %s and %d more", label, strings.Join(names[:maxListed], ", "), more)
	}
	return label + ": " + strings.Join(names, ", ")
}

// maxQuoted keeps a hostile value from filling the screen.
const maxQuoted = 80

// quote makes any value safe to print: control characters escaped, length bounded.
func quote(value string) string {
	runes := []rune(value)
	if len(runes) > maxQuoted {
		return fmt.Sprintf("%q...", string(runes[:maxQuoted]))
	}
	return fmt.Sprintf("%q", value)
}

// oneLine makes a foreign message safe to print, as it may carry bytes of the file.
func oneLine(text string) string {
	const longest = 200
	runes := []rune(strings.Join(strings.Fields(text), " "))
	for i, char := range runes {
		if !unicode.IsGraphic(char) {
			runes[i] = unicode.ReplacementChar
		}
	}
	if len(runes) > longest {
		return string(runes[:longest]) + "..."
	}
	return string(runes)
}
