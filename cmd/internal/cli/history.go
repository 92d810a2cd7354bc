package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

func (p *program) historyCommand() *cli.Command {
	return &cli.Command{
		Name:      "history",
		Usage:     "releases and how they ended, on each host",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial history ENVIRONMENT [options]\n\nseatrial history production\nseatrial history production --on web-1 -n 5\nseatrial rollback production --to v1.4.2",
		Description: "Newest first, as the hosts remember it; what hosts have in common is one line. A release is named by its id or\n" +
			"its label in `rollback --to`, as long as the host keeps it: the last five good ones, and five that failed.",
		Flags:  common(&cli.IntFlag{Name: "n", Usage: "at most `N` lines", Value: 20}),
		Action: p.history,
	}
}

func (p *program) history(c *cli.Context) error {
	names, err := environments(c, false)
	if err != nil {
		return err
	}
	if c.Int("n") < 1 {
		return &usageError{"-n wants a number of at least 1", "seatrial history " + names[0] + " -n 20"}
	}
	inv, order, err := p.order(c, plans.Look("history"), names[0])
	if err != nil {
		return err
	}
	show, style := p.display(c)
	run := p.runner(inv, show).Survey(c.Context, order)
	defer run.Close()
	rows := ui.HistoryRows(run.Facts())
	if j, ok := show.(*ui.JSON); ok {
		for _, r := range rows {
			j.Object(r)
		}
	} else {
		ui.History(p.out, style, rows, c.Int("n"))
	}
	return planned(run, show, run.ExitCode())
}
