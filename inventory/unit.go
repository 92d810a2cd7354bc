package inventory

import (
	"bufio"
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var unitNamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:_.@-]{0,200}\.(service|socket|timer|path|target)$`)

// ownSection is the section that makes a unit what its name says. A target has none.
func ownSection(name string) string {
	switch filepath.Ext(name) {
	case ".service":
		return "Service"
	case ".socket":
		return "Socket"
	case ".timer":
		return "Timer"
	case ".path":
		return "Path"
	}
	return ""
}

func isTemplate(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(name, filepath.Ext(name)), "@")
}

// instanceName turns whit@.service and 1 into whit@1.service.
func instanceName(template, instance string) string {
	ext := filepath.Ext(template)
	return strings.TrimSuffix(template, ext) + instance + ext
}

// unit reads a unit file and makes sure it is one. systemd has the last word, on the
// host; this is what can be known before any connection.
func (t *table) unit(line int, local string) (Unit, bool) {
	name := filepath.Base(filepath.Clean(local))
	if !unitNamePattern.MatchString(name) {
		t.problemAt(line, fmt.Sprintf("%s is not the name of a unit", quote(name)),
			"name the file NAME.service, .socket, .timer, .path or .target")
		return Unit{}, false
	}
	path, content, ok := t.file(line, "unit", local)
	if !ok {
		return Unit{}, false
	}
	faults := unitFaults(name, content)
	for _, fault := range faults {
		fault.File = path
		t.add(fault)
	}
	return Unit{Name: name, Path: path, Content: content, Digest: digest(content)}, len(faults) == 0
}

// unitFaults returns what keeps content from being the unit its name says.
func unitFaults(name string, content []byte) []Problem {
	file := parseUnit(content)
	faults := file.faults
	own := ownSection(name)
	sections := []string{"Unit", "Install"}
	if own != "" {
		sections = append(sections, own)
	}
	found := own == ""
	for _, section := range file.sections {
		found = found || section.name == own
		if slices.Contains(sections, section.name) || strings.HasPrefix(section.name, "X-") {
			continue
		}
		hint := "sections here are [" + strings.Join(sections, "], [") + "]"
		if near := nearest(section.name, sections); near != "" {
			hint = "did you mean [" + near + "]?"
		}
		faults = append(faults, Problem{Line: section.line, Message: fmt.Sprintf("unknown section [%s]", section.name), Hint: hint})
	}
	switch {
	case len(file.sections) == 0:
		faults = append(faults, Problem{Message: "not a unit file: no section", Hint: "start with [Unit]"})
	case !found:
		faults = append(faults, Problem{Message: fmt.Sprintf("no [%s] section", own), Hint: fmt.Sprintf("add [%s], or give the file another suffix", own)})
	case own == "Service" && !file.starts():
		faults = append(faults, Problem{Message: "no ExecStart=", Hint: "add ExecStart=/path/to/program to [Service]"})
	}
	return faults
}

// unitFile is a unit as far as it must be understood here.
type unitFile struct {
	sections []unitSection
	execs    map[string]int // how many commands ExecStart= and ExecStop= hold
	kind     string         // Type=
	faults   []Problem
}

type unitSection struct {
	name string
	line int
}

// starts says whether systemd would find something to start.
func (u *unitFile) starts() bool {
	return u.execs["ExecStart"] > 0 || (u.kind == "oneshot" && u.execs["ExecStop"] > 0)
}

// parseUnit reads unit syntax: sections, assignments, comments, and lines continued by
// a backslash, between which comments are dropped.
func parseUnit(content []byte) *unitFile {
	unit := &unitFile{execs: map[string]int{}}
	scanner := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	scanner.Buffer(nil, maxFile+1)
	number, start, pending := 0, 0, ""
	for scanner.Scan() {
		number++
		text := strings.TrimSpace(scanner.Text())
		if strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") {
			continue
		}
		if pending == "" {
			start = number
		}
		if head, continued := strings.CutSuffix(text, `\`); continued {
			pending += head + " "
			continue
		}
		unit.line(start, strings.TrimSpace(pending+text))
		pending = ""
	}
	unit.line(start, strings.TrimSpace(pending))
	return unit
}

// line takes in one logical line.
func (u *unitFile) line(number int, text string) {
	fault := func(message, hint string) {
		u.faults = append(u.faults, Problem{Line: number, Message: message, Hint: hint})
	}
	if text == "" {
		return
	}
	if strings.HasPrefix(text, "[") {
		name, closed := strings.CutSuffix(text[1:], "]")
		if !closed || name == "" {
			fault("section "+quote(text)+" is not closed", "write it as [Service], alone on its line")
			return
		}
		u.sections = append(u.sections, unitSection{name, number})
		return
	}
	key, value, ok := strings.Cut(text, "=")
	switch {
	case !ok:
		fault(quote(text)+" is not an assignment", "write Name=value, or start a comment with #")
	case len(u.sections) == 0:
		fault(quote(text)+" stands before the first section", "move it below [Unit] or [Service]")
	default:
		u.assign(strings.TrimSpace(key), strings.TrimSpace(value))
	}
}

// assign notes what starts depends on. An empty value resets what came before it.
func (u *unitFile) assign(key, value string) {
	if u.sections[len(u.sections)-1].name != "Service" {
		return
	}
	switch {
	case key == "Type":
		u.kind = value
	case value == "":
		u.execs[key] = 0
	default:
		u.execs[key]++
	}
}
