package sshtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// Commands that turn one text into another.

func textCommands() map[string]command {
	return map[string]command{
		"cat": cat, "head": head, "tail": tail, "wc": wc, "sort": sortLines, "uniq": uniq, "cut": cut, "tr": tr,
		"grep": grep, "sed": sed, "base64": base64Command, "sha256sum": sha256sum, "cmp": cmp, "seq": seq,
	}
}

func cat(c *call) error {
	_, operands := c.options("")
	return c.each(operands, func(_ string, data []byte) { _, _ = c.stdout.Write(data) })
}

// linesOf splits text into lines that keep their ends.
func linesOf(data []byte) [][]byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// amount reads -n N, -c N and -N: how many, and of what.
func (c *call) amount() (count string, isBytes bool, operands []string) {
	args := slices.Clone(c.args)
	for i, arg := range args {
		if len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9' {
			args[i] = "-n" + arg[1:]
		}
	}
	c.args = args
	options, operands := c.options("nc")
	if value, ok := options["c"]; ok {
		return value, true, operands
	}
	if value, ok := options["n"]; ok {
		return value, false, operands
	}
	return "10", false, operands
}

func head(c *call) error {
	count, isBytes, operands := c.amount()
	n, _ := strconv.Atoi(count)
	return c.each(operands, func(_ string, data []byte) {
		if isBytes {
			_, _ = c.stdout.Write(data[:keep(len(data), n)])
			return
		}
		lines := linesOf(data)
		_, _ = c.stdout.Write(bytes.Join(lines[:keep(len(lines), n)], nil))
	})
}

// keep is how many of length `head -n n` shows: all but the last -n if n is negative.
func keep(length, n int) int {
	if n < 0 {
		return max(0, length+n)
	}
	return min(length, n)
}

func tail(c *call) error {
	count, isBytes, operands := c.amount()
	n, _ := strconv.Atoi(strings.TrimLeft(count, "+-"))
	return c.each(operands, func(_ string, data []byte) {
		lines := linesOf(data)
		length := len(lines)
		if isBytes {
			length = len(data)
		}
		from := max(0, length-n)
		if strings.HasPrefix(count, "+") {
			from = min(length, max(0, n-1))
		}
		if isBytes {
			_, _ = c.stdout.Write(data[from:])
			return
		}
		_, _ = c.stdout.Write(bytes.Join(lines[from:], nil))
	})
}

func wc(c *call) error {
	options, operands := c.options("")
	return c.each(operands, func(name string, data []byte) {
		counts := []struct {
			option string
			count  int
		}{{"l", bytes.Count(data, []byte("\n"))}, {"w", len(bytes.Fields(data))}, {"c", len(data)}}
		var fields []string
		for _, each := range counts {
			if len(options) == 0 || has(options, each.option) {
				fields = append(fields, strconv.Itoa(each.count))
			}
		}
		if name != "-" {
			fields = append(fields, name)
		}
		c.out("%s\n", strings.Join(fields, " "))
	})
}

// textLines are the lines of all operands without their ends.
func (c *call) textLines(operands []string) ([]string, error) {
	var all []string
	err := c.each(operands, func(_ string, data []byte) {
		for _, line := range linesOf(data) {
			all = append(all, strings.TrimSuffix(string(line), "\n"))
		}
	})
	return all, err
}

func sortLines(c *call) error {
	options, operands := c.options("kt")
	lines, err := c.textLines(operands)
	slices.SortStableFunc(lines, func(a, b string) int {
		if has(options, "n") {
			if by := leadingNumber(a) - leadingNumber(b); by != 0 {
				return by
			}
		}
		return strings.Compare(a, b)
	})
	if has(options, "u") {
		lines = slices.Compact(lines)
	}
	if has(options, "r") {
		slices.Reverse(lines)
	}
	c.lines(lines)
	return err
}

func leadingNumber(line string) int {
	line = strings.TrimLeft(line, " \t")
	end := strings.IndexFunc(line, func(r rune) bool { return (r < '0' || r > '9') && r != '-' })
	if end >= 0 {
		line = line[:end]
	}
	n, _ := strconv.Atoi(line)
	return n
}

func (c *call) lines(lines []string) {
	if len(lines) > 0 {
		c.out("%s\n", strings.Join(lines, "\n"))
	}
}

func uniq(c *call) error {
	_, operands := c.options("")
	lines, err := c.textLines(operands)
	c.lines(slices.Compact(lines))
	return err
}

func cut(c *call) error {
	options, operands := c.options("cbdf")
	lines, err := c.textLines(operands)
	delimiter, ok := options["d"]
	if !ok {
		delimiter = "\t"
	}
	for _, line := range lines {
		switch {
		case has(options, "f") && !strings.Contains(line, delimiter):
			c.out("%s\n", line)
		case has(options, "f"):
			c.out("%s\n", strings.Join(pick(strings.Split(line, delimiter), options["f"]), delimiter))
		default:
			c.out("%s\n", strings.Join(pick(strings.Split(line, ""), options["c"]+options["b"]), ""))
		}
	}
	return err
}

// pick chooses the parts that a list such as 1,3-5,7- names.
func pick(parts []string, list string) []string {
	var picked []string
	for i, part := range parts {
		if inList(i+1, list) {
			picked = append(picked, part)
		}
	}
	return picked
}

func inList(n int, list string) bool {
	for item := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(item, "-")
		from, _ := strconv.Atoi(low)
		to, err := strconv.Atoi(high)
		if !isRange {
			to = from
		} else if err != nil {
			to = n
		}
		if n >= from && n <= to {
			return true
		}
	}
	return false
}

func tr(c *call) error {
	options, operands := c.options("")
	data, err := c.input()
	if err != nil || len(operands) == 0 {
		return c.fail(1, "missing operand")
	}
	from := set(operands[0])
	inFrom := func(b byte) int { return slices.Index(from, b) }
	if has(options, "c", "C") {
		listed := from
		inFrom = func(b byte) int { return min(0, -slices.Index(append([]byte{}, listed...), b)-1) }
	}
	var to []byte
	if len(operands) > 1 {
		to = set(operands[1])
	}
	c.out("%s", translate(data, inFrom, to, has(options, "d")))
	return nil
}

func translate(data []byte, inFrom func(byte) int, to []byte, drop bool) []byte {
	result := make([]byte, 0, len(data))
	for _, b := range data {
		i := inFrom(b)
		switch {
		case i < 0:
			result = append(result, b)
		case !drop && len(to) > 0:
			result = append(result, to[min(i, len(to)-1)])
		}
	}
	return result
}

// set expands a-z, \n and the like, and [:space:] and its kin.
func set(text string) []byte {
	classes := map[string]string{"[:space:]": " \t\n\v\f\r", "[:upper:]": "A-Z", "[:lower:]": "a-z", "[:digit:]": "0-9",
		"[:alnum:]": "0-9A-Za-z", "[:cntrl:]": "\x00-\x1f\x7f"}
	for name, members := range classes {
		text = strings.ReplaceAll(text, name, members)
	}
	text = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\000`, "\x00", `\0`, "\x00", `\\`, `\`).Replace(text)
	var all []byte
	for i := 0; i < len(text); i++ {
		if i+2 < len(text) && text[i+1] == '-' {
			for b := int(text[i]); b <= int(text[i+2]); b++ {
				all = append(all, byte(b))
			}
			i += 2
			continue
		}
		all = append(all, text[i])
	}
	return all
}

func base64Command(c *call) error {
	options, operands := c.options("w")
	failed := false
	err := c.each(operands, func(_ string, data []byte) {
		if has(options, "d", "--decode") {
			failed = !c.decode(data)
			return
		}
		width := 76
		if w, ok := options["w"]; ok {
			width, _ = strconv.Atoi(w)
		} else if w, ok := options["--wrap"]; ok {
			width, _ = strconv.Atoi(w)
		}
		c.out("%s", wrap(base64.StdEncoding.EncodeToString(data), width))
	})
	if failed {
		return c.fail(1, "invalid input")
	}
	return err
}

func (c *call) decode(data []byte) bool {
	text := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return -1
		}
		return r
	}, string(data))
	decoded, err := base64.StdEncoding.DecodeString(text)
	_, _ = c.stdout.Write(decoded)
	return err == nil
}

func wrap(text string, width int) string {
	if width == 0 {
		return text
	}
	var b strings.Builder
	for len(text) > width {
		b.WriteString(text[:width] + "\n")
		text = text[width:]
	}
	if text != "" {
		b.WriteString(text + "\n")
	}
	return b.String()
}

func sha256sum(c *call) error {
	_, operands := c.options("")
	return c.each(operands, func(name string, data []byte) {
		c.out("%x  %s\n", sha256.Sum256(data), name)
	})
}

func cmp(c *call) error {
	_, operands := c.options("")
	if len(operands) != 2 {
		return c.fail(2, "missing operand")
	}
	a, err := c.content(operands[0])
	if err == nil {
		var b []byte
		if b, err = c.content(operands[1]); err == nil {
			return exitIf(!bytes.Equal(a, b))
		}
	}
	return c.fail(2, "%v", err)
}

func seq(c *call) error {
	numbers := make([]int, len(c.args))
	for i, arg := range c.args {
		numbers[i], _ = strconv.Atoi(arg)
	}
	from, to := 1, 0
	switch len(numbers) {
	case 1:
		to = numbers[0]
	case 2:
		from, to = numbers[0], numbers[1]
	default:
		return c.fail(1, "only seq [FIRST] LAST exists here")
	}
	for ; from <= to; from++ {
		c.out("%d\n", from)
	}
	return nil
}
