package ui

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatrial/seatrial/plans"
)

// StatusRow is one unit on one host, or why nothing is known of the host. It is a line of JSON.
type StatusRow struct {
	Type         string        `json:"type"`
	Host         string        `json:"host"`
	Service      string        `json:"service"`
	Unit         string        `json:"unit,omitempty"`
	Active       string        `json:"active,omitempty"` // ActiveState/SubState, and the LoadState unless it is loaded
	Result       string        `json:"result,omitempty"` // unless it is success
	Since        *time.Time    `json:"since,omitempty"`  // when it became active
	Restarts     *int          `json:"restarts,omitempty"`
	Release      string        `json:"release,omitempty"` // empty: what is installed is no release that the host knows
	Label        string        `json:"label,omitempty"`
	State        string        `json:"state,omitempty"`         // of the last transaction
	Lease        string        `json:"lease,omitempty"`         // who holds it
	LeaseSeconds int           `json:"lease_seconds,omitempty"` // for how long, unless it is renewed
	Unfinished   string        `json:"unfinished,omitempty"`    // whose run died here
	Maintenance  string        `json:"maintenance,omitempty"`   // who holds it, since when, why
	Drift        []string      `json:"drift,omitempty"`         // what is not as seatrial left it
	Drifted      string        `json:"drifted,omitempty"`       // diff from what seatrial left
	Outcome      plans.Outcome `json:"outcome,omitempty"`       // when nothing is known: unreachable, refused
	Text         string        `json:"text,omitempty"`
	Hint         string        `json:"hint,omitempty"`

	well bool // of the unit: active, or a oneshot that has done its work
}

// StatusRows are the rows of a survey.
func StatusRows(all []plans.HostFacts) []StatusRow {
	var rows []StatusRow
	for _, h := range all {
		row := StatusRow{Type: "host.status", Host: h.Host, Service: h.Service, Outcome: h.Outcome, Text: h.Text, Hint: h.Hint}
		if h.Text != "" {
			rows = append(rows, row)
			continue
		}
		row.Release, row.Label, row.State = h.Release, h.Label, h.Facts.Record.State
		row.Drift, row.Drifted = h.Drift, h.Drifted
		if left := h.Facts.LeaseLeft(); left > 0 {
			row.Lease, row.LeaseSeconds = h.Facts.Record.Owner, int(left.Seconds())
		} else if h.Facts.Record.Unfinished() {
			row.Unfinished = h.Facts.Record.Owner
		}
		if m := h.Facts.Maintenance; m.Owner != "" {
			row.Maintenance = fmt.Sprintf("%s, since %s: %s", m.Owner, m.Since, m.Message)
		}
		for _, unit := range h.Units {
			rows = append(rows, row.of(unit, h.Facts.Units[unit]))
		}
	}
	return rows
}

// of is the host's row for a unit with these properties.
func (r StatusRow) of(unit string, properties map[string]string) StatusRow {
	r.Unit, r.Active = unit, properties["ActiveState"]+"/"+properties["SubState"]
	if load := properties["LoadState"]; load != "loaded" {
		r.Active += " (" + load + ")"
	}
	if result := properties["Result"]; result != "success" {
		r.Result = result
	}
	if n, err := strconv.Atoi(properties["NRestarts"]); err == nil {
		r.Restarts = &n
	}
	if at, err := time.Parse("Mon 2006-01-02 15:04:05 UTC", properties["ActiveEnterTimestamp"]); err == nil {
		r.Since = &at
	}
	done := properties["Type"] == "oneshot" && properties["ActiveState"] == "inactive" && r.Result == ""
	r.well = properties["LoadState"] == "loaded" && (properties["ActiveState"] == "active" || done)
	return r
}

// Status shows rows for people: hosts that are alike in one entry, worst first; of those that are well one line a release.
func Status(w io.Writer, style Style, rows []StatusRow) {
	lanes := statusLanes(rows)
	var groups []*statusGroup
	for _, l := range lanes {
		key := l.key()
		i := slices.IndexFunc(groups, func(g *statusGroup) bool { return g.key == key })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &statusGroup{key: key, how: l.how})
		}
		groups[i].lanes = append(groups[i].lanes, l)
	}
	slices.SortStableFunc(groups, func(a, b *statusGroup) int { return a.how - b.how })
	for _, g := range groups {
		g.print(w, style, lanes)
	}
	_, _ = fmt.Fprintln(w, statusSummary(lanes))
}

// statusLane is one service on one host.
type statusLane struct {
	StatusRow             // what is the same for all units
	units     []StatusRow //
	how       int         // index of what is worst
	usual     string      // digest of the release that most hosts of the service have
}

// digest of the release's files: what was deployed twice has two ids.
func (l *statusLane) digest() string { return l.Release[strings.LastIndexByte(l.Release, '-')+1:] }

// conditions of a service on a host, worst first.
var conditions = []struct {
	word  string
	paint func(Style, string) string
	holds func(*statusLane) bool
}{
	{"unreachable", Style.bad, func(l *statusLane) bool { return l.Outcome == plans.Unreachable }},
	{"refused", Style.bad, func(l *statusLane) bool { return l.Text != "" }},
	{"failed", Style.bad, func(l *statusLane) bool {
		return l.any(func(u StatusRow) bool { return strings.HasPrefix(u.Active, "failed/") })
	}},
	{"not active", Style.bad, func(l *statusLane) bool { return l.any(func(u StatusRow) bool { return !u.well }) }},
	{"unfinished", Style.warn, func(l *statusLane) bool { return l.Unfinished != "" }},
	{"locked", Style.warn, func(l *statusLane) bool { return l.Lease != "" }},
	{"maintenance", Style.warn, func(l *statusLane) bool { return l.Maintenance != "" }},
	{"restarted", Style.warn, func(l *statusLane) bool { return l.any(StatusRow.restarted) }},
	{"drift", Style.warn, func(l *statusLane) bool { return len(l.Drift) > 0 }},
	{"other release", Style.warn, func(l *statusLane) bool { return l.digest() != l.usual }},
	{"well", Style.good, func(*statusLane) bool { return true }},
}

func (l *statusLane) any(is func(StatusRow) bool) bool { return slices.ContainsFunc(l.units, is) }

func (r StatusRow) restarted() bool { return r.Restarts != nil && *r.Restarts > 0 }

func statusLanes(rows []StatusRow) []*statusLane {
	var lanes []*statusLane
	for _, r := range rows {
		if n := len(lanes); n == 0 || lanes[n-1].Host != r.Host || lanes[n-1].Service != r.Service {
			lanes = append(lanes, &statusLane{StatusRow: r})
		}
		if l := lanes[len(lanes)-1]; r.Unit != "" {
			l.units = append(l.units, r)
		}
	}
	for _, l := range lanes {
		l.usual = usualRelease(lanes, l.Service)
		for !conditions[l.how].holds(l) {
			l.how++
		}
	}
	return lanes
}

// usualRelease is what most hosts of a service have; of two the newer.
func usualRelease(lanes []*statusLane, service string) string {
	count, newest := map[string]int{}, map[string]string{}
	best := ""
	for _, l := range lanes {
		if l.Service != service || l.Text != "" {
			continue
		}
		d := l.digest()
		count[d]++
		newest[d] = max(newest[d], l.Release)
		if count[d] > count[best] || count[d] == count[best] && newest[d] > newest[best] {
			best = d
		}
	}
	return best
}

// key is the same for hosts that are alike: times and counts are not in it.
func (l *statusLane) key() string {
	words := []string{fmt.Sprint(l.how), l.Service, l.digest(), l.Text, l.Hint, l.State, l.Lease, l.Unfinished, l.Maintenance, strings.Join(l.Drift, "\n")}
	for _, u := range l.units {
		words = append(words, u.Unit, u.Active, u.Result, fmt.Sprint(u.restarted()))
	}
	return strings.Join(words, "\x00")
}

// statusGroup is lanes that are alike.
type statusGroup struct {
	key   string
	how   int
	lanes []*statusLane
	most  []*statusLane // those with the usual release
}

// releases are the ids under which hosts have what they have.
func releases(lanes []*statusLane) string {
	var ids []string
	for _, l := range lanes {
		ids = add(ids, labelled(l.Release, l.Label))
	}
	slices.Sort(ids)
	if ids[0] == "" {
		return "no release of seatrial's"
	}
	return strings.Join(ids, ", ")
}

func (g *statusGroup) print(w io.Writer, style Style, all []*statusLane) {
	first, condition := g.lanes[0], conditions[g.how]
	var names []string
	for _, l := range g.lanes {
		names = append(names, l.Host)
	}
	of := 0 // hosts of the service
	for _, l := range all {
		if l.Service != first.Service {
			continue
		}
		of++
		if l.Text == "" && l.digest() == l.usual {
			g.most = append(g.most, l)
		}
	}
	who := everyName(names, of)
	if g.how == len(conditions)-1 {
		who = Who(names, of)
	}
	_, _ = fmt.Fprintf(w, "%s  %s  %s\n", condition.paint(style, fmt.Sprintf("%-13s", condition.word)), who, Clean(g.head()))
	for _, line := range g.body() {
		_, _ = fmt.Fprint(w, indent("    ", Clean(line)))
	}
}

// head is what stands behind the hosts' names.
func (g *statusGroup) head() string {
	l := g.lanes[0]
	if l.Text != "" {
		return l.Service + "  " + l.Text
	}
	head := l.Service + "  " + releases(g.lanes)
	if g.how == len(conditions)-1 {
		head += since(g.values(func(StatusRow) bool { return true }))
	}
	return head
}

// body is all that deviates.
func (g *statusGroup) body() []string {
	l := g.lanes[0]
	var lines []string
	for _, u := range l.units {
		if !u.well || u.restarted() {
			lines = append(lines, g.unit(u))
		}
	}
	add := func(holds bool, format string, args ...any) {
		if holds {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	add(l.Lease != "", "the lease is held by %s, for %d s more unless it is renewed (%s)", l.Lease, g.longest(), l.State)
	add(l.Unfinished != "", "a run of %s died (%s); what it left is undone by the next run, or by seatrial resume where it ran", l.Unfinished, l.State)
	add(l.Maintenance != "", "held for maintenance by %s", l.Maintenance)
	for _, d := range l.Drift {
		add(true, "drift: %s", d)
	}
	for line := range strings.Lines(l.Drifted) {
		add(true, "  %s", strings.TrimRight(line, "\n"))
	}
	add(l.Text == "" && l.digest() != l.usual, "other hosts have %s", releases(g.most))
	add(l.Hint != "", "hint: %s", l.Hint)
	return lines
}

// unit says what is so of one unit on all hosts of the group.
func (g *statusGroup) unit(u StatusRow) string {
	text := u.Unit + " " + u.Active
	if u.Result != "" {
		text += ", Result=" + u.Result
	}
	rows := g.values(func(r StatusRow) bool { return r.Unit == u.Unit })
	if u.restarted() {
		least := slices.MinFunc(rows, func(a, b StatusRow) int { return *a.Restarts - *b.Restarts })
		most := slices.MaxFunc(rows, func(a, b StatusRow) int { return *a.Restarts - *b.Restarts })
		text += ", restarted " + times(*least.Restarts, *most.Restarts)
	}
	if !u.well {
		return text
	}
	return text + ", " + strings.TrimSpace(since(rows))
}

func times(least, most int) string {
	switch {
	case least != most:
		return fmt.Sprintf("%d to %d times", least, most)
	case least == 1:
		return "once"
	}
	return fmt.Sprintf("%d times", least)
}

// values are the units' rows of all lanes.
func (g *statusGroup) values(wanted func(StatusRow) bool) []StatusRow {
	var rows []StatusRow
	for _, l := range g.lanes {
		for _, u := range l.units {
			if wanted(u) {
				rows = append(rows, u)
			}
		}
	}
	return rows
}

func (g *statusGroup) longest() int {
	return slices.MaxFunc(g.lanes, func(a, b *statusLane) int { return a.LeaseSeconds - b.LeaseSeconds }).LeaseSeconds
}

// since is the time of the start, or of the first and the last one.
func since(rows []StatusRow) string {
	var at []time.Time
	for _, r := range rows {
		if r.Since != nil {
			at = append(at, *r.Since)
		}
	}
	if len(at) == 0 {
		return ""
	}
	first, last := slices.MinFunc(at, time.Time.Compare), slices.MaxFunc(at, time.Time.Compare)
	if first.Equal(last) {
		return "  since " + first.Format(time.RFC3339)
	}
	return "  since " + first.Format(time.RFC3339) + " .. " + last.Format(time.RFC3339)
}

// statusSummary counts services on hosts, worst first.
func statusSummary(lanes []*statusLane) string {
	var hosts, counts []string
	for _, l := range lanes {
		hosts = add(hosts, l.Host)
	}
	for how, c := range conditions {
		n := 0
		for _, l := range lanes {
			if l.how == how {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, c.word))
		}
	}
	if len(lanes) == 0 {
		return "no host runs this service"
	}
	return plural(len(hosts), "host") + ": " + strings.Join(counts, ", ")
}
