package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "what runs where, since when, restarts, lease, unfinished trial",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial status ENVIRONMENT [options]\n\nseatrial status production\nseatrial status production --on @canary\nseatrial status production --json",
		Description: "Reads only. Hosts that are alike are one entry, worst first: unreachable, failed, not active, unfinished (a run\n" +
			"died there), locked by a run, held for maintenance, restarted by systemd, drifted, on another release than most.\n" +
			"What deviates is said in full; the hosts that are well come last, in one line for each release. With --json there\n" +
			"is a line for each host and unit.",
		Flags:  common(),
		Action: p.status,
	}
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
	show, style := p.display(c)
	run := p.runner(inv, show).Survey(c.Context, order)
	defer run.Close()
	run.Inspect(c.Context, false)
	rows := ui.StatusRows(run.Facts())
	if j, ok := show.(*ui.JSON); ok {
		for _, r := range rows {
			j.Object(r)
		}
	} else {
		ui.Status(p.out, style, rows)
	}
	return planned(run, show, run.ExitCode())
}
