package ui

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seatrial/seatrial/plans"
)

// HistoryRow is a release in one host's history.
type HistoryRow struct {
	Type    string            `json:"type"`
	Host    string            `json:"host"`
	Service string            `json:"service"`
	Release string            `json:"release,omitempty"`
	Label   string            `json:"label,omitempty"`
	Outcome string            `json:"outcome,omitempty"` // committed, found, rolled-back; or unreachable, refused
	Time    *time.Time        `json:"time,omitempty"`
	Owner   string            `json:"owner,omitempty"`
	Plan    string            `json:"plan,omitempty"`  // digest of the saved plan that brought it
	Files   map[string]string `json:"files,omitempty"` // path -> first digits of its digest
	Current bool              `json:"current,omitempty"`
	Kept    bool              `json:"kept,omitempty"`
	Text    string            `json:"text,omitempty"` // why nothing is known
	Hint    string            `json:"hint,omitempty"`
}

// HistoryRows are newest first, host by host.
func HistoryRows(all []plans.HostFacts) []HistoryRow {
	var rows []HistoryRow
	for _, h := range all {
		if h.Text != "" {
			rows = append(rows, HistoryRow{Type: "host.release", Host: h.Host, Service: h.Service, Outcome: string(h.Outcome), Text: h.Text, Hint: h.Hint})
		}
		current := false
		for _, past := range slices.Backward(h.Releases) {
			at := time.Unix(past.Time, 0).UTC()
			row := HistoryRow{Type: "host.release", Host: h.Host, Service: h.Service, Release: past.ID, Label: past.Label, Outcome: past.Outcome,
				Time: &at, Owner: past.Owner, Plan: past.Plan, Files: past.Files, Kept: slices.Contains(h.Facts.Kept, past.ID)}
			row.Current = !current && past.ID == h.Release && past.Outcome != "rolled-back"
			current = current || row.Current
			rows = append(rows, row)
		}
	}
	return rows
}

// History folds what hosts have in common. The clocks of hosts differ, and so do a run's ends: the first time is shown.
func History(w io.Writer, style Style, rows []HistoryRow, most int) {
	var lines []HistoryRow
	var silent fold
	hosts := map[string][]string{}
	for _, r := range rows {
		key := historyKey(r)
		if r.Text != "" {
			silent.add(fmt.Sprintf("%s: %s", style.bad(r.Outcome), Clean(r.Text)), r.Host)
			continue
		}
		if hosts[key] == nil {
			lines = append(lines, r)
		}
		hosts[key] = append(hosts[key], r.Host)
	}
	slices.SortStableFunc(lines, func(a, b HistoryRow) int { return b.Time.Compare(*a.Time) })
	if len(lines) == 0 && silent.entries == nil {
		_, _ = fmt.Fprintln(w, "seatrial has committed nothing there yet")
	}
	if len(lines) > 0 {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "RELEASE\tLABEL\tOUTCOME\tNOW\tWHEN\tBY\tPLAN\tHOSTS")
		for _, r := range lines[:min(most, len(lines))] {
			by, _, _ := strings.Cut(r.Owner, " (pid")
			cells := []string{r.Release, cmp.Or(r.Label, "-"), r.Outcome, nowWord(r), r.Time.Local().Format(time.DateTime), by,
				cmp.Or(r.Plan[:min(12, len(r.Plan))], "-"), strings.Join(hosts[historyKey(r)], ", ")}
			for i := range cells {
				cells[i] = Clean(cells[i])
			}
			_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
		}
		_ = table.Flush()
	}
	if len(lines) > most {
		_, _ = fmt.Fprintf(w, "and %d more: -n %d\n", len(lines)-most, len(lines))
	}
	for _, entry := range silent.entries {
		_, _ = fmt.Fprintf(w, "%s  %s\n", style.bold(strings.Join(silent.who[entry], ", ")), entry)
	}
}

func historyKey(r HistoryRow) string {
	return strings.Join([]string{r.Service, r.Release, r.Label, r.Outcome, r.Owner, r.Plan, nowWord(r), r.Text}, "\x00")
}

// nowWord says what is left of a release on the host.
func nowWord(r HistoryRow) string {
	switch {
	case r.Current:
		return "installed"
	case r.Kept:
		return "kept"
	}
	return "-"
}
