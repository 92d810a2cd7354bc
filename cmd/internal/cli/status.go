package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "what runs where, since when, restarts, lease, unfinished trial",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial status ENVIRONMENT [options]\n\nseatrial status production\nseatrial status production --json",
		Flags:     common(),
		Action:    p.status,
	}
}

// statusRow is one unit on one host.
type statusRow struct {
	Type     string `json:"type"`
	Host     string `json:"host"`
	Service  string `json:"service"`
	Unit     string `json:"unit,omitempty"`
	Active   string `json:"active,omitempty"`
	Since    string `json:"since,omitempty"`
	Restarts string `json:"restarts,omitempty"`
	Release  string `json:"release,omitempty"` // empty: what is installed is no release that the host knows
	State    string `json:"state,omitempty"`   // of the last transaction
	Lease    string `json:"lease,omitempty"`   // who holds it, for how long
	Text     string `json:"text,omitempty"`    // why nothing is known
	Hint     string `json:"hint,omitempty"`
}

func (p *program) status(c *cli.Context) error {
	names, err := environments(c, false)
	if err != nil {
		return err
	}
	inv, order, err := p.order(c, plans.Look("status"), names[0])
	if err != nil {
		return err
	}
	show, _ := p.display(c)
	run := p.runner(inv, show).Survey(c.Context, order)
	defer run.Close()
	rows := statusRows(run.Facts())
	if j, ok := show.(*ui.JSON); ok {
		for _, r := range rows {
			j.Object(r)
		}
	} else {
		statusTable(p.out, rows)
	}
	return planned(run, show, run.ExitCode())
}

func statusRows(all []plans.HostFacts) []statusRow {
	var rows []statusRow
	for _, h := range all {
		row := statusRow{Type: "host.status", Host: h.Host, Service: h.Service, Release: h.Release, Text: h.Text, Hint: h.Hint}
		if h.Text != "" {
			rows = append(rows, row)
			continue
		}
		row.State = h.Facts.Record.State
		if left := h.Facts.LeaseLeft(); left > 0 {
			row.Lease = fmt.Sprintf("%s, for %s more", h.Facts.Record.Owner, left)
		} else if h.Facts.Record.Unfinished() {
			row.Lease = "a run of " + h.Facts.Record.Owner + " died; what it left is undone at the next deploy"
		}
		if m := h.Facts.Maintenance; m.Owner != "" {
			row.Lease = strings.TrimPrefix(row.Lease+"; ", "; ") + fmt.Sprintf("held for maintenance by %s, since %s: %s", m.Owner, m.Since, m.Message)
		}
		for _, unit := range h.Units {
			u := h.Facts.Units[unit]
			row.Unit, row.Active, row.Since, row.Restarts = unit, u["ActiveState"]+"/"+u["SubState"], u["ActiveEnterTimestamp"], u["NRestarts"]
			if u["LoadState"] != "loaded" {
				row.Active += " (" + u["LoadState"] + ")"
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func statusTable(w io.Writer, rows []statusRow) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "HOST\tUNIT\tACTIVE\tRESTARTS\tRELEASE\tSINCE\tLEASE")
	var silent []statusRow
	for _, r := range rows {
		if r.Text != "" {
			silent = append(silent, r)
			continue
		}
		release := r.Release
		if release == "" {
			release = "none of seatrial's"
		}
		cells := []string{r.Host, r.Unit, r.Active, r.Restarts, release, r.Since, r.Lease}
		_, _ = fmt.Fprintln(table, ui.Clean(strings.Join(cells, "\t")))
	}
	_ = table.Flush()
	for _, r := range silent {
		_, _ = fmt.Fprintf(w, "%s: %s\n", r.Host, ui.Clean(r.Text))
		if r.Hint != "" {
			_, _ = fmt.Fprintf(w, "  hint: %s\n", ui.Clean(r.Hint))
		}
	}
}
