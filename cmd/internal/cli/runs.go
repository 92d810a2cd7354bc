package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/plans"
)

// journalDir is where this account's runs are remembered.
func journalDir() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil && os.Getenv("XDG_STATE_HOME") == "" {
		return "", fmt.Errorf("run journal: %w", err)
	}
	return plans.JournalDir(home, os.Getenv("XDG_STATE_HOME")), nil
}

// journals makes the runner write run journals.
func journals(inv *inventory.Inventory) func(plans.JournalRun) (*plans.Journal, error) {
	return func(run plans.JournalRun) (*plans.Journal, error) {
		dir, err := journalDir()
		if err != nil {
			return nil, err
		}
		if run.Inventory, err = filepath.Abs(inv.Path); err != nil {
			return nil, err
		}
		return plans.CreateJournal(dir, run)
	}
}

func (p *program) runsCommand() *cli.Command {
	return &cli.Command{
		Name:      "runs",
		Usage:     "list the runs that were started on this machine",
		UsageText: "seatrial runs [--json]\n\nseatrial runs\nseatrial show 20260314T091500Z-1a2b",
		Flags:     []cli.Flag{jsonFlag()},
		Action:    p.runs,
	}
}

// runRow is one run.
type runRow struct {
	Type        string    `json:"type"`
	Run         string    `json:"run"`
	Started     time.Time `json:"started"`
	Plan        string    `json:"plan"`
	Environment string    `json:"environment"`
	Outcome     string    `json:"outcome"` // "unfinished" when it died, or is under way
	ExitCode    *int      `json:"exit_code,omitempty"`
	Hosts       int       `json:"hosts"`
}

func (p *program) runs(c *cli.Context) error {
	dir, err := journalDir()
	if err != nil {
		return err
	}
	ids, err := plans.Runs(dir)
	if err != nil {
		return err
	}
	var rows []runRow
	for _, id := range ids {
		run, err := plans.ReadJournal(dir, id)
		if err != nil {
			ui.Error(p.errs, err.Error(), "")
			continue
		}
		row := runRow{"run", id, run.Started, run.Plan, run.Environment, "unfinished", nil, len(run.Lanes)}
		if end := run.Finished(); end != nil {
			row.Outcome, row.ExitCode = string(end.Outcome), end.ExitCode
		}
		rows = append(rows, row)
	}
	p.runsTable(c, rows)
	return nil
}

func (p *program) runsTable(c *cli.Context, rows []runRow) {
	if c.Bool("json") {
		j := ui.NewJSON(p.out, Version())
		for _, r := range rows {
			j.Object(r)
		}
		return
	}
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "RUN\tSTARTED\tPLAN\tENVIRONMENT\tHOSTS\tOUTCOME")
	for _, r := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n", r.Run, r.Started.Local().Format(time.DateTime), r.Plan, r.Environment, r.Hosts, r.Outcome)
	}
	_ = table.Flush()
}

func (p *program) showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show a past run again, as it was seen then, or a saved plan",
		ArgsUsage: "[RUN|FILE]",
		UsageText: "seatrial show [RUN|FILE] [options]\n\nseatrial show                          the last run\nseatrial show 20260314T091500Z-1a2b --json\nseatrial show production.plan          a saved plan, also when it is stale",
		Flags: []cli.Flag{jsonFlag(),
			&cli.BoolFlag{Name: "no-color", Usage: "no colours (NO_COLOR does the same)", DisableDefaultText: true},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show every check and step", DisableDefaultText: true}},
		Action: p.show,
	}
}

func (p *program) show(c *cli.Context) error {
	if name := c.Args().First(); c.Args().Len() == 1 && plans.IsSaved(name) {
		return p.showSaved(c, name)
	}
	run, _, err := p.pastRun(c, func(plans.JournalRun) bool { return true })
	if err != nil {
		return err
	}
	show, _ := p.display(c)
	for _, e := range run.Events {
		show.Event(e)
	}
	if run.Finished() == nil {
		ui.Error(p.errs, "the run "+run.ID+" did not come to its end", "seatrial resume "+run.ID)
	}
	return nil
}

// pastRun is the run that the argument names, or the last one that is wanted.
func (p *program) pastRun(c *cli.Context, wanted func(plans.JournalRun) bool) (plans.JournalRun, string, error) {
	if c.Args().Len() > 1 {
		return plans.JournalRun{}, "", &usageError{c.Command.Name + " takes one run at most", "seatrial runs"}
	}
	dir, err := journalDir()
	if err != nil {
		return plans.JournalRun{}, "", err
	}
	ids, err := plans.Runs(dir)
	if err != nil {
		return plans.JournalRun{}, "", err
	}
	name := c.Args().First()
	for i := len(ids) - 1; i >= 0; i-- {
		if name != "" && ids[i] != name {
			continue
		}
		run, err := plans.ReadJournal(dir, ids[i])
		if err != nil && name == "" {
			continue
		}
		if err != nil || name != "" || wanted(run) {
			return run, dir, err
		}
	}
	if name != "" {
		return plans.JournalRun{}, "", &usageError{fmt.Sprintf("there is no run %q on this machine", name), "seatrial runs"}
	}
	return plans.JournalRun{}, "", &usageError{"there is no such run on this machine", "seatrial runs"}
}
