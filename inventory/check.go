package inventory

import (
	"fmt"
	"sort"
	"strings"
	"time"
)

// maxCommand bounds a check's command, arguments and environment together.
const maxCommand = 16 << 10

// checks reads every [[services.NAME.checks]].
func (t *table) checks() []Check {
	var checks []Check
	names := map[string]int{}
	for _, table := range t.tables("checks") {
		check := table.check()
		table.unique(names, "name", check.Name)
		checks = append(checks, check)
	}
	return checks
}

func (t *table) check() Check {
	check := Check{
		Name:       t.required("name", "what is checked", lineRule, filledRule, shortRule),
		Severity:   t.text("severity", SeverityError, oneOf(SeverityError, SeverityWarning)),
		Directory:  t.text("directory", "", hostPathRule),
		File:       t.text("file", "", hostPathRule),
		Executable: t.text("executable", "", hostPathRule),
		Command:    t.command(),
		Timeout:    t.duration("timeout", 30*time.Second, hostSpan),
	}
	check.WorkingDirectory = t.text("working_directory", "", hostPathRule)
	check.User = t.text("user", "", userRule)
	check.Environment = t.environmentVariables()
	t.oneKind()
	t.commandFits(check)
	t.finish()
	return check
}

// oneKind reports a check of no kind or of several, and keys that its kind does not use.
func (t *table) oneKind() {
	var kinds []string
	for _, key := range []string{"directory", "file", "executable", "command"} {
		if t.has(key) {
			kinds = append(kinds, key)
		}
	}
	switch {
	case len(kinds) == 0:
		t.problemAt(t.line, "nothing to check", "write one of directory, file, executable, command")
	case len(kinds) > 1:
		t.problem(kinds[1], "both "+strings.Join(kinds, " and "), "make them checks of their own: exactly one each")
	case kinds[0] != "command":
		for _, key := range []string{"working_directory", "user", "environment"} {
			if t.has(key) {
				t.problem(key, fmt.Sprintf("%s has no effect on a %s check", key, kinds[0]), "leave it out: it belongs to a command")
			}
		}
	}
}

// command reads a program and its arguments, whose bytes are nobody's business but NUL.
func (t *table) command() []string {
	const hint = `write command = ["program", "argument"]`
	words := t.texts("command", nulRule)
	values, ok := t.values["command"].([]any)
	switch {
	case ok && len(values) == 0:
		t.problem("command", "command is empty", hint)
	case !ok || len(words) < len(values): // reported already
		return nil
	}
	if len(words) == 0 {
		return nil
	}
	if message, hint := t.programFault(words[0]); message != "" {
		t.problem("command", fmt.Sprintf("program %s %s", quote(words[0]), message), hint)
		return nil
	}
	return words
}

// programFault judges the first word: env(1), which runs it, would read some as its own.
func (t *table) programFault(program string) (message, hint string) {
	if message, hint := lineRule(program); message != "" {
		return message, hint
	}
	switch {
	case program == "":
		return "is empty", `write command = ["program", "argument"]`
	case strings.Contains(program, "="):
		return "contains =", `variables belong into environment = { NAME = "value" }`
	case strings.HasPrefix(program, "-"):
		return "starts with a dash", "the first word is the program"
	case strings.Contains(program, " ") && !strings.HasPrefix(program, "/"):
		return "contains a blank", `write the words apart: command = ["program", "argument"]`
	case strings.Contains(program, "/") && program[0] != '/' && !t.has("working_directory"):
		return "is relative to nothing", "add working_directory, or write the whole path"
	}
	return "", ""
}

// environmentVariables reads environment = { NAME = "value" }, sorted by name.
func (t *table) environmentVariables() []Variable {
	table, _ := t.table("environment")
	var variables []Variable
	for _, name := range table.at.inFileOrder(table.values) {
		before := len(t.problems)
		table.named(name, variableRule)
		value := table.text(name, "", lineRule)
		if len(t.problems) == before {
			variables = append(variables, Variable{Name: name, Value: value})
		}
	}
	sort.Slice(variables, func(i, j int) bool { return variables[i].Name < variables[j].Name })
	return variables
}

func (t *table) commandFits(check Check) {
	size := 0
	for _, word := range check.Command {
		size += len(word) + 1
	}
	for _, variable := range check.Environment {
		size += len(variable.Name) + len(variable.Value) + 2
	}
	if size > maxCommand {
		t.problem("command", fmt.Sprintf("command of %d bytes is too long", size),
			fmt.Sprintf("keep it and its environment below %d KiB: put a script on the host", maxCommand>>10))
	}
}
