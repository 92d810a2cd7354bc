package inventory

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// table is one TOML table while it is read. It remembers which keys were asked for, so
// that the rest can be reported as unknown. A wrong value is reported where it stands and
// replaced by the fallback: reading goes on, and all problems come out at once.
type table struct {
	*reader
	label  string // what messages call it; empty for the whole file
	at     *place
	line   int // of the table itself
	values map[string]any
	known  []string
}

// newTable wraps a decoded value. Anything but a table reads as an empty one.
func (r *reader) newTable(label string, value any, at *place, line int) *table {
	values, _ := value.(map[string]any)
	if at != nil {
		line = r.lineOf(at.offset)
	}
	return &table{reader: r, label: label, at: at, line: line, values: values}
}

// value returns what a key holds and makes the key known.
func (t *table) value(key string) (any, bool) {
	t.known = append(t.known, key)
	value, ok := t.values[key]
	return value, ok
}

// has says whether a key is written, without making it known.
func (t *table) has(key string) bool {
	_, ok := t.values[key]
	return ok
}

// keyLine is the line of a key, or of the table when it is not written.
func (t *table) keyLine(key string) int {
	if at := t.at.key(key); at != nil {
		return t.lineOf(at.offset)
	}
	return t.line
}

// itemLine is the line of an element of the array at key.
func (t *table) itemLine(key string, index int) int {
	if at := t.at.key(key).item(index); at != nil {
		return t.lineOf(at.offset)
	}
	return t.keyLine(key)
}

// problem reports what is wrong with the value of a key.
func (t *table) problem(key, message, hint string) { t.problemAt(t.keyLine(key), message, hint) }

func (t *table) problemAt(line int, message, hint string) {
	if t.label != "" {
		message = t.label + ": " + message
	}
	t.add(Problem{File: t.path, Line: line, Message: message, Hint: hint})
}

func (t *table) wrongType(line int, key string, value any, wanted, hint string) {
	t.problemAt(line, fmt.Sprintf("%s is %s, not %s", keyName(key), typeName(value), wanted), hint)
}

// missing reports a key that must be written.
func (t *table) missing(key, hint string) { t.problem(key, key+" is missing", hint) }

// text returns a string that satisfies every rule, or the fallback.
func (t *table) text(key, fallback string, rules ...rule) string {
	value, ok := t.value(key)
	if !ok {
		return fallback
	}
	text, ok := value.(string)
	if !ok {
		t.wrongType(t.keyLine(key), key, value, "a string", textHint(key, value))
		return fallback
	}
	if !t.obeys(t.keyLine(key), key, text, rules) {
		return fallback
	}
	return text
}

// required is text for a key that must be there; example is the hint when it is not.
func (t *table) required(key, example string, rules ...rule) string {
	if !t.has(key) {
		t.known = append(t.known, key)
		t.missing(key, fmt.Sprintf("write %s = %q", key, example))
		return ""
	}
	return t.text(key, "", rules...)
}

// texts returns an array of strings that each satisfy every rule. Wrong ones are left out.
func (t *table) texts(key string, rules ...rule) []string {
	var texts []string
	for i, value := range t.array(key, `["...", "..."]`) {
		line := t.itemLine(key, i)
		text, ok := value.(string)
		if !ok {
			t.wrongType(line, key, value, "a string", `write it in quotes`)
			continue
		}
		if t.obeys(line, key, text, rules) {
			texts = append(texts, text)
		}
	}
	return texts
}

// names is texts without repetitions, which are reported.
func (t *table) names(key string, rules ...rule) []string {
	names := t.texts(key, rules...)
	seen := map[string]bool{}
	for _, name := range names {
		if seen[name] {
			t.problem(key, fmt.Sprintf("%s names %s twice", key, quote(name)), "leave one of them out")
		}
		seen[name] = true
	}
	return names
}

// array returns the elements of any array, of tables or of values.
func (t *table) array(key, example string) []any {
	value, ok := t.value(key)
	if !ok {
		return nil
	}
	switch value := value.(type) {
	case []any:
		return value
	case []map[string]any:
		elements := make([]any, 0, len(value))
		for _, element := range value {
			elements = append(elements, element)
		}
		return elements
	}
	t.wrongType(t.keyLine(key), key, value, "an array", fmt.Sprintf("write %s = %s", key, example))
	return nil
}

func (t *table) obeys(line int, key, text string, rules []rule) bool {
	for _, rule := range rules {
		if message, hint := rule(text); message != "" {
			t.problemAt(line, fmt.Sprintf("%s %s %s", keyName(key), quote(text), message), hint)
			return false
		}
	}
	return true
}

func (t *table) flag(key string, fallback bool) bool {
	value, ok := t.value(key)
	if !ok {
		return fallback
	}
	flag, ok := value.(bool)
	if !ok {
		t.wrongType(t.keyLine(key), key, value, "true or false", fmt.Sprintf("write %s = %t", key, !fallback))
		return fallback
	}
	return flag
}

// bounds are the smallest and the largest value that make sense.
type bounds struct{ least, most int }

func (t *table) number(key string, fallback int, within bounds) int {
	value, ok := t.value(key)
	if !ok {
		return fallback
	}
	number, ok := value.(int64)
	if !ok {
		t.wrongType(t.keyLine(key), key, value, "a whole number", fmt.Sprintf("write %s = %d", key, fallback))
		return fallback
	}
	if number < int64(within.least) || number > int64(within.most) {
		t.problem(key, fmt.Sprintf("%s %d is out of range", key, number),
			fmt.Sprintf("write a number from %d to %d", within.least, within.most))
		return fallback
	}
	return int(number)
}

// span is the range of a duration. Durations a host counts out are whole seconds, as a
// POSIX shell knows no others.
type span struct {
	least, most time.Duration
	step        time.Duration
}

func (t *table) duration(key string, fallback time.Duration, within span) time.Duration {
	value, ok := t.value(key)
	if !ok {
		return fallback
	}
	hint := fmt.Sprintf("write %s = %q", key, shortDuration(fallback))
	text, ok := value.(string)
	if !ok {
		if seconds, whole := value.(int64); whole && seconds > 0 && seconds < 1e6 {
			hint = fmt.Sprintf(`write %s = "%ds"`, key, seconds)
		}
		t.wrongType(t.keyLine(key), key, value, "a duration in quotes", hint)
		return fallback
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		t.problem(key, fmt.Sprintf("%s %s is not a duration", key, quote(text)), hint+`; units are s, m and h`)
		return fallback
	}
	if duration < within.least || duration > within.most {
		t.problem(key, fmt.Sprintf("%s %s is out of range", key, quote(text)),
			fmt.Sprintf("write a duration from %s to %s", shortDuration(within.least), shortDuration(within.most)))
		return fallback
	}
	if within.step > 0 && duration%within.step != 0 {
		t.problem(key, fmt.Sprintf("%s %s is not a whole number of seconds", key, quote(text)),
			fmt.Sprintf("write %s = %q", key, shortDuration(duration.Round(within.step))))
		return fallback
	}
	return duration
}

// shortDuration leaves out what is zero: 1h, not 1h0m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// table returns the table at key; when there is none, one that is empty.
func (t *table) table(key string) (*table, bool) {
	value, ok := t.value(key)
	label := keyName(key)
	if t.label != "" {
		label = t.label + "." + label
	}
	if ok && !isTable(value) {
		t.wrongType(t.keyLine(key), key, value, "a table", fmt.Sprintf("write [%s] and its keys below", label))
		ok = false
	}
	return t.newTable(label, value, t.at.key(key), t.line), ok
}

// tables returns the elements of an array of tables.
func (t *table) tables(key string) []*table {
	label := t.label + "." + key
	var tables []*table
	for i, value := range t.array(key, fmt.Sprintf("... as [[%s]]", label)) {
		if !isTable(value) {
			t.wrongType(t.itemLine(key, i), key, value, "a table", fmt.Sprintf("write [[%s]] and its keys below", label))
			continue
		}
		tables = append(tables, t.newTable(label, value, t.at.key(key).item(i), t.keyLine(key)))
	}
	return tables
}

// finish reports every key nobody asked for.
func (t *table) finish() {
	for _, key := range t.at.inFileOrder(t.values) {
		if slices.Contains(t.known, key) {
			continue
		}
		hint := listing("known here", t.known)
		if near := nearest(key, t.known); near != "" {
			hint = "did you mean " + quote(near) + "?"
		}
		t.problem(key, "unknown key "+quote(key), hint)
	}
}

func isTable(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}

// keyName is a key as TOML writes it: bare where that is possible.
func keyName(key string) string {
	if bareKey.MatchString(key) {
		return key
	}
	return quote(key)
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func textHint(key string, value any) string {
	key = keyName(key)
	if key == "mode" { // 0o755 arrives as 493
		return `write mode = "0755"`
	}
	switch value.(type) {
	case int64, float64, bool, time.Time:
		return fmt.Sprintf(`write %s = "%v"`, key, value)
	case []any:
		return fmt.Sprintf(`write %s = "..."; it takes only one`, key)
	}
	return fmt.Sprintf(`write %s = "..."`, key)
}

func typeName(value any) string {
	switch value.(type) {
	case string:
		return "a string"
	case int64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case time.Time:
		return "a date"
	case []any, []map[string]any:
		return "an array"
	}
	return "a table"
}
