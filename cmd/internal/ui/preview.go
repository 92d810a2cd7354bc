package ui

import (
	"fmt"
	"io"
	"strings"

	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/steps"
)

// Preview prints what a run would do, identical hosts folded.
func Preview(w io.Writer, style Style, previews []plans.HostPreview) {
	var entries []string
	who := map[string][]string{}
	for _, p := range previews {
		entry := previewText(style, p)
		if who[entry] == nil {
			entries = append(entries, entry)
		}
		who[entry] = append(who[entry], p.Host)
	}
	for _, entry := range entries {
		head, body, _ := strings.Cut(entry, "\x00")
		_, _ = fmt.Fprintf(w, "%s  %s\n%s\n", style.bold(strings.Join(who[entry], ", ")), head, body)
	}
	_, _ = fmt.Fprintln(w, summary(previews))
}

func previewText(style Style, p plans.HostPreview) string {
	if p.Outcome != "" {
		head := fmt.Sprintf("%s: %s", style.bad(string(p.Outcome)), Clean(p.Text))
		if p.Hint != "" {
			return head + "\x00    hint: " + Clean(p.Hint) + "\n"
		}
		return head + "\x00"
	}
	var b strings.Builder
	last := ""
	for _, l := range p.Lines {
		step := l.Step
		if step == last {
			step = ""
		}
		last = l.Step
		fmt.Fprintf(&b, "  %s %-13s %s\n", mark(style, l), step, Clean(l.Text))
	}
	b.WriteString(diffText(style, p.Diff))
	release := "release " + p.Release
	if p.Release == "" { // of a restart
		release = "no release of seatrial's"
	}
	return fmt.Sprintf("%s  %s\x00%s", p.Service, release, b.String())
}

func mark(style Style, l steps.Line) string {
	if l.Changes {
		return style.warn("~")
	}
	return " "
}

func diffText(style Style, diff string) string {
	if diff == "" {
		return ""
	}
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimRight(diff, "\n"), "\n") {
		line = Clean(line)
		switch {
		case strings.HasPrefix(line, "+"):
			line = style.good(line)
		case strings.HasPrefix(line, "-"):
			line = style.paint("31", line)
		}
		b.WriteString("    " + line + "\n")
	}
	return b.String()
}

func summary(previews []plans.HostPreview) string {
	change, same, blocked := 0, 0, 0
	for _, p := range previews {
		switch {
		case p.Outcome != "":
			blocked++
		case p.Changes:
			change++
		default:
			same++
		}
	}
	return fmt.Sprintf("%d to change, %d unchanged (restarted all the same), %d that cannot be done", change, same, blocked)
}

// PreviewObject is a line of JSON for one host's preview.
func PreviewObject(p plans.HostPreview) any {
	return struct {
		Type string `json:"type"`
		plans.HostPreview
	}{"host.planned", p}
}
