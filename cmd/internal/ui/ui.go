// Package ui turns events and previews into text and JSON. Nothing else prints.
//
// How seatrial speaks:
//   - stdout carries results (previews, reports, JSON), stderr carries speech (steps as they are done, errors, hints).
//   - Hosts that say the same are folded into one line that names them.
//   - An error says what happened and where; what to do next stands on a line of its own that begins with "hint:".
//   - What comes from a host is shown without control characters.
package ui

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/seatrial/seatrial/plans"
)

// Display shows a run while it happens.
type Display interface {
	Event(plans.Event)
}

// Clean removes what could drive a terminal: control characters but newline and tab, and invalid UTF-8.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r) || r == unicode.ReplacementChar:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Who names hosts: all of them when they are few, else how many.
func Who(hosts []string, all int) string {
	switch {
	case len(hosts) == 1:
		return hosts[0]
	case len(hosts) == all:
		return fmt.Sprintf("%d hosts", len(hosts))
	case len(hosts) <= 6:
		return strings.Join(hosts, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(hosts[:5], ", "), len(hosts)-5)
}

// indent puts prefix before each line of text.
func indent(prefix, text string) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return ""
	}
	return prefix + strings.ReplaceAll(text, "\n", "\n"+prefix) + "\n"
}

// Error prints an error and its hint.
func Error(w io.Writer, text, hint string) {
	_, _ = fmt.Fprintf(w, "seatrial: %s\n", Clean(text))
	if hint != "" {
		_, _ = fmt.Fprintf(w, "hint: %s\n", Clean(hint))
	}
}

// Style colours text, or leaves it alone.
type Style struct{ Color bool }

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s Style) good(t string) string { return s.paint("32", t) }
func (s Style) bad(t string) string  { return s.paint("1;31", t) }
func (s Style) warn(t string) string { return s.paint("33", t) }
func (s Style) dim(t string) string  { return s.paint("2", t) }
func (s Style) bold(t string) string { return s.paint("1", t) }
