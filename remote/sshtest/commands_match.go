package sshtest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// grep and sed, as far as scripts need them.

func grep(c *call) error {
	options, operands := c.options("em")
	expression, ok := options["e"]
	if !ok {
		if len(operands) == 0 {
			return c.fail(2, "no pattern")
		}
		expression, operands = operands[0], operands[1:]
	}
	match, err := matcher(expression, options)
	if err != nil {
		return c.fail(2, "%v", err)
	}
	lines, _ := c.textLines(operands)
	found := slices.DeleteFunc(lines, func(line string) bool { return match(line) == has(options, "v") })
	switch {
	case has(options, "q"):
	case has(options, "c"):
		c.out("%d\n", len(found))
	default:
		c.lines(found)
	}
	return exitIf(len(found) == 0)
}

func matcher(expression string, options map[string]string) (func(string) bool, error) {
	if has(options, "F") {
		expression = regexp.QuoteMeta(expression)
	} else if !has(options, "E") {
		expression = basic(expression)
	}
	if has(options, "x") {
		expression = "^(?:" + expression + ")$"
	}
	if has(options, "i") {
		expression = "(?i)" + expression
	}
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}

// basic turns a basic regular expression into Go's: \( groups, ( does not.
func basic(expression string) string {
	var b strings.Builder
	for i := 0; i < len(expression); i++ {
		ch := expression[i]
		switch {
		case ch == '\\' && i+1 < len(expression):
			i++
			if !strings.ContainsRune("(){}+?|", rune(expression[i])) {
				b.WriteByte('\\')
			}
			b.WriteByte(expression[i])
		case strings.ContainsRune("(){}+?|", rune(ch)):
			b.WriteString("\\" + string(ch))
		default:
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// sed knows s/x/y/[g], Np, Nq and $p.
func sed(c *call) error {
	options, operands := c.options("e")
	script, ok := options["e"]
	if !ok {
		if len(operands) == 0 {
			return c.fail(1, "no script")
		}
		script, operands = operands[0], operands[1:]
	}
	edit, err := sedScript(script, has(options, "n"), has(options, "E", "r"))
	if err != nil {
		return c.fail(1, "%v", err)
	}
	lines, err := c.textLines(operands)
	for i, line := range lines {
		if text, print := edit(line, i+1, i+1 == len(lines)); print {
			c.out("%s\n", text)
		}
	}
	return err
}

func sedScript(script string, quiet, extended bool) (func(line string, n int, last bool) (string, bool), error) {
	if strings.HasPrefix(script, "s") && len(script) > 3 {
		return substitution(script, quiet, extended)
	}
	address := strings.TrimSuffix(script, "p")
	number, err := strconv.Atoi(address)
	if address == script || err != nil && address != "$" {
		return nil, &errno{"the embedded host's sed does not know " + script, nil}
	}
	return func(line string, n int, last bool) (string, bool) {
		return line, !quiet || n == number || address == "$" && last
	}, nil
}

func substitution(script string, quiet, extended bool) (func(string, int, bool) (string, bool), error) {
	parts := strings.Split(script[2:], script[1:2])
	if len(parts) != 3 {
		return nil, &errno{"the embedded host's sed does not know " + script, nil}
	}
	if !extended {
		parts[0] = basic(parts[0])
	}
	re, err := regexp.Compile(parts[0])
	if err != nil {
		return nil, err
	}
	to := regexp.MustCompile(`\\(\d)`).ReplaceAllString(strings.ReplaceAll(parts[1], "$", "$$"), "$${$1}")
	return func(line string, _ int, _ bool) (string, bool) {
		match := re.FindStringSubmatchIndex(line)
		if match == nil {
			return line, !quiet
		}
		if strings.Contains(parts[2], "g") {
			return re.ReplaceAllString(line, to), !quiet || strings.Contains(parts[2], "p")
		}
		return line[:match[0]] + string(re.ExpandString(nil, to, line, match)) + line[match[1]:], !quiet || strings.Contains(parts[2], "p")
	}, nil
}
