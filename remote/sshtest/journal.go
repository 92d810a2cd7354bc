package sshtest

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// line is one entry of the journal.
type line struct {
	at         time.Time
	unit       string
	invocation string
	tag        string
	pid        int
	text       string
	manager    bool // PID 1 wrote it about the unit
	seq        int
}

// Say writes to the journal as a unit's program would: any bytes, at any time.
func (h *Host) Say(unit, text string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log(line{at: at, unit: unit, tag: "app", pid: 1000, text: text})
}

func itoa(n int) string { return strconv.Itoa(n) }

func (h *Host) log(l line) {
	if l.at.IsZero() {
		l.at = h.clock.wall()
	}
	l.seq = len(h.journal) + 1
	h.journal = append(h.journal, l)
	h.clock.notify()
}

func (h *Host) logManager(text string) {
	h.log(line{tag: "systemd", pid: 1, text: text, manager: true})
}

// log is PID 1 writing about the unit; say is the unit's own program.
func (u *unit) log(text string) {
	u.m.h.log(line{unit: u.name, invocation: u.invocation, tag: "systemd", pid: 1, text: text, manager: true})
}

func (u *unit) say(text string) {
	words := u.file.command(u.name)
	tag := u.name
	if len(words) > 0 {
		tag = words[0][strings.LastIndexByte(words[0], '/')+1:]
	}
	u.m.h.log(line{unit: u.name, invocation: u.invocation, tag: tag, pid: u.pid, text: text})
}

func exitWords(code, status int) string {
	if code == 2 {
		return fmt.Sprintf("code=killed, status=%d/%s", status, map[int]string{9: "KILL", 15: "TERM"}[status])
	}
	names := map[int]string{1: "FAILURE", 200: "CHDIR", 203: "EXEC", 217: "USER"}
	return strings.TrimSuffix(fmt.Sprintf("code=exited, status=%d/%s", status, names[status]), "/")
}

// Log returns the journal as journalctl prints it without its time stamps.
func (h *Host) Log() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []string
	for _, l := range h.journal {
		lines = append(lines, fmt.Sprintf("%s[%d]: %s", l.tag, l.pid, l.text))
	}
	return lines
}

// query is what a journalctl asks for.
type query struct {
	count  int // -1: all
	format string
	after  int
	since  time.Time
	any    [][]func(line) bool // one of them, with all its conditions
	units  []string
	cursor bool
	follow bool
	quiet  bool
	all    bool // also long fields
}

func journalctl(c *call) error {
	q, err := c.query()
	if err != nil {
		return c.fail(1, "%v", err)
	}
	c.h.mu.Lock()
	lines, total := c.h.matching(q, q.after)
	c.h.mu.Unlock()
	if q.count >= 0 && len(lines) > q.count {
		lines = lines[len(lines)-q.count:]
	}
	if err := c.show(lines, q); err != nil {
		return err
	}
	if q.cursor {
		c.out("-- cursor: s=0123456789abcdef;i=%x\n", total)
	}
	for q.follow {
		if total, err = c.follow(q, total); err != nil {
			return err
		}
	}
	return nil
}

// follow waits for the next lines and prints them.
func (c *call) follow(q query, total int) (int, error) {
	c.h.mu.Lock()
	lines, now := c.h.matching(q, total)
	changed := c.h.clock.changed
	c.h.mu.Unlock()
	if now > total {
		return now, c.show(lines, q)
	}
	select {
	case <-changed:
		_, err := c.stdout.Write(nil)
		return now, err
	case <-c.ctx.Done():
		return now, c.ctx.Err()
	}
}

func (h *Host) matching(q query, from int) ([]line, int) {
	var lines []line
	for _, l := range h.journal[min(from, len(h.journal)):] {
		if q.holds(l) {
			lines = append(lines, l)
		}
	}
	return lines, len(h.journal)
}

func (q query) holds(l line) bool {
	if l.at.Before(q.since) || len(q.units) > 0 && !slices.Contains(q.units, l.unit) {
		return false
	}
	if len(q.any) == 0 {
		return true
	}
	return slices.ContainsFunc(q.any, func(all []func(line) bool) bool {
		return !slices.ContainsFunc(all, func(match func(line) bool) bool { return !match(l) })
	})
}

func (c *call) show(lines []line, q query) error {
	var b strings.Builder
	for _, l := range lines {
		switch q.format {
		case "cat":
			fmt.Fprintln(&b, l.text)
		case "json":
			b.Write(l.json(q.all))
		case "short-iso":
			fmt.Fprintf(&b, "%s %s %s[%d]: %s\n", l.at.UTC().Format("2006-01-02T15:04:05-0700"), c.h.name, l.tag, l.pid, l.text)
		default:
			fmt.Fprintf(&b, "%s %s %s[%d]: %s\n", l.at.UTC().Format("Jan 02 15:04:05"), c.h.name, l.tag, l.pid, l.text)
		}
	}
	if len(lines) == 0 && !q.quiet && !q.cursor {
		b.WriteString("-- No entries --\n")
	}
	_, err := io.WriteString(c.stdout, b.String())
	return err
}

// json is the entry with the fields that were asked for (all entries have the cursor and the time).
func (l line) json(all bool) []byte {
	entry := map[string]any{"__CURSOR": fmt.Sprintf("s=0123456789abcdef;i=%x", l.seq), "__REALTIME_TIMESTAMP": strconv.FormatInt(l.at.UnixMicro(), 10),
		"MESSAGE": jsonField(l.text, all), "SYSLOG_IDENTIFIER": l.tag, "_PID": itoa(l.pid)}
	if l.manager {
		entry["UNIT"], entry["_SYSTEMD_UNIT"] = l.unit, "init.scope"
	} else {
		entry["_SYSTEMD_UNIT"] = l.unit
	}
	text, _ := json.Marshal(entry)
	return append(text, '\n')
}

// jsonField is a string, bytes when it is not printable, nothing when it is long.
func jsonField(text string, all bool) any {
	printable := utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' })
	switch {
	case len(text) >= 4096 && !all:
		return nil
	case printable:
		return text
	}
	var numbers []int
	for _, b := range []byte(text) {
		numbers = append(numbers, int(b))
	}
	return numbers
}

func (c *call) query() (query, error) {
	q := query{count: -1, format: "short"}
	args := slices.Clone(c.args)
	take := func(i *int) string {
		if _, value, ok := strings.Cut(args[*i], "="); ok {
			return value
		}
		*i = min(*i+1, len(args)-1)
		return args[*i]
	}
	group := []func(line) bool{}
	for i := 0; i < len(args); i++ {
		name, _, _ := strings.Cut(args[i], "=")
		switch {
		case name == "-n" || name == "--lines":
			q.count, _ = strconv.Atoi(take(&i))
		case strings.HasPrefix(name, "-n"):
			q.count, _ = strconv.Atoi(name[2:])
		case name == "-o" || name == "--output":
			q.format = take(&i)
		case name == "-u" || name == "--unit":
			q.units = append(q.units, unitName(take(&i)))
		case name == "--after-cursor":
			q.after = cursorOf(take(&i))
		case name == "-S" || name == "--since":
			q.since = c.since(take(&i))
		case name == "--show-cursor":
			q.cursor = true
		case name == "-f" || name == "--follow":
			q.follow = true
		case args[i] == "-a" || args[i] == "--all":
			q.all = true
		case name == "-q" || name == "--quiet":
			q.quiet = true
		case args[i] == "+":
			q.any, group = append(q.any, group), nil
		case !strings.HasPrefix(args[i], "-") && strings.Contains(args[i], "="):
			match, err := condition(args[i])
			if err != nil {
				return q, err
			}
			group = append(group, match)
		}
	}
	if len(group) > 0 {
		q.any = append(q.any, group)
	}
	if q.follow && q.count < 0 {
		q.count = 10
	}
	return q, nil
}

func cursorOf(text string) int {
	_, number, _ := strings.Cut(text, "i=")
	n, _ := strconv.ParseInt(number, 16, 64)
	return int(n)
}

// since reads @UNIX, a date with time (UTC), and `N min ago` as -N, e.g. -90s.
func (c *call) since(text string) time.Time {
	c.h.mu.Lock()
	now := c.h.clock.wall()
	c.h.mu.Unlock()
	if n, err := strconv.ParseInt(strings.TrimPrefix(text, "@"), 10, 64); err == nil && strings.HasPrefix(text, "@") {
		return time.Unix(n, 0)
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d.Abs())
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

func condition(text string) (func(line) bool, error) {
	field, value, _ := strings.Cut(text, "=")
	switch field {
	case "_SYSTEMD_INVOCATION_ID":
		return func(l line) bool { return !l.manager && l.invocation == value }, nil
	case "INVOCATION_ID":
		return func(l line) bool { return l.manager && l.invocation == value }, nil
	case "_SYSTEMD_UNIT":
		return func(l line) bool { return !l.manager && l.unit == value }, nil
	case "UNIT":
		return func(l line) bool { return l.manager && l.unit == value }, nil
	case "_PID":
		return func(l line) bool { return itoa(l.pid) == value }, nil
	case "SYSLOG_IDENTIFIER":
		return func(l line) bool { return l.tag == value }, nil
	}
	return nil, fmt.Errorf("the embedded host's journal has no field %s", field)
}
