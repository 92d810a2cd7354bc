package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/steps"
)

// Preview prints what a run would do, identical hosts folded into one.
func Preview(w io.Writer, style Style, previews []plans.HostPreview) {
	for _, alike := range foldPreviews(style, previews) {
		var names []string
		for _, p := range alike {
			names = append(names, p.Host)
		}
		_, _ = fmt.Fprintf(w, "%s  %s\n%s\n", style.bold(strings.Join(names, ", ")), previewHead(style, alike[0]), previewBody(style, alike))
	}
	_, _ = fmt.Fprintln(w, summary(previews))
}

// foldPreviews groups previews that read the same, but for details.
func foldPreviews(style Style, previews []plans.HostPreview) [][]plans.HostPreview {
	var groups [][]plans.HostPreview
	place := map[string]int{}
	for _, p := range previews {
		text := previewHead(style, p) + previewBody(style, []plans.HostPreview{withoutDetails(p)})
		i, known := place[text]
		if !known {
			i = len(groups)
			place[text], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

func withoutDetails(p plans.HostPreview) plans.HostPreview {
	p.Lines = slices.Clone(p.Lines)
	for i := range p.Lines {
		p.Lines[i].Detail = ""
	}
	return p
}

func previewHead(style Style, p plans.HostPreview) string {
	if p.Outcome != "" {
		return fmt.Sprintf("%s: %s", style.bad(string(p.Outcome)), Clean(p.Text))
	}
	head := p.Service + "  release " + Clean(labelled(p.Release, p.Label))
	if p.Release == "" { // of a restart
		head = p.Service + "  no release of seatrial's"
	}
	return head
}

func previewBody(style Style, alike []plans.HostPreview) string {
	p := alike[0]
	var b strings.Builder
	if p.Hint != "" {
		fmt.Fprintf(&b, "    hint: %s\n", Clean(p.Hint))
	}
	for _, text := range p.Drift {
		fmt.Fprintf(&b, "  %s %-13s %s\n", style.warn("!"), "drift", Clean(text))
	}
	b.WriteString(diffText(style, p.Drifted))
	last := ""
	for i, l := range p.Lines {
		step := l.Step
		if step == last {
			step = ""
		}
		last = l.Step
		fmt.Fprintf(&b, "  %s %-13s %s\n", mark(style, l), step, Clean(l.Text))
		b.WriteString(details(style, alike, i))
	}
	for _, text := range p.Unknown {
		fmt.Fprintf(&b, "    %-13s %s\n", "not known", Clean(text))
	}
	b.WriteString(diffText(style, p.Diff))
	return b.String()
}

// details of a line are each host's own. Beyond a few hosts they are no help.
func details(style Style, alike []plans.HostPreview, line int) string {
	const most = 4
	var b strings.Builder
	for i, p := range alike {
		detail := p.Lines[line].Detail
		switch {
		case detail == "":
			continue
		case i == most:
			fmt.Fprintf(&b, "%18s%s\n", "", style.dim(fmt.Sprintf("and %d more hosts: --json has them all", len(alike)-most)))
			return b.String()
		case len(alike) > 1:
			detail = p.Host + ": " + detail
		}
		fmt.Fprintf(&b, "%18s%s\n", "", style.dim(Clean(detail)))
	}
	return b.String()
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
