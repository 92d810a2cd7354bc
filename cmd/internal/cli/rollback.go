package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/plans"
)

func (p *program) rollbackCommand() *cli.Command {
	return &cli.Command{
		Name:      "rollback",
		Usage:     "go back to the last good release before the current one, on each host",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial rollback ENVIRONMENT [options]\n\nseatrial rollback staging --dry-run\nseatrial rollback staging\nseatrial rollback production --to 20260314T091500Z-1a2b3c4d",
		Description: "The older release is tried, settled, verified and committed just as a new one is. Hosts may have different\n" +
			"releases to go back to; --dry-run shows them. What was there before the first deploy counts as a release.",
		Flags:  common(yesFlag(), dryRunFlag(), waitFlag(), &cli.StringFlag{Name: "to", Usage: "this `RELEASE`: its id or its label"}),
		Action: p.one(plans.Rollback),
	}
}

// one is the action of a command that carries out a plan on one environment.
func (p *program) one(plan func() plans.Plan) cli.ActionFunc {
	return func(c *cli.Context) error {
		names, err := environments(c, false)
		if err != nil {
			return err
		}
		_, order, err := p.order(c, plan(), names[0])
		if err != nil {
			return err
		}
		if c.IsSet("to") && c.String("to") == "" {
			return &usageError{"--to is empty: it wants a release", "leave --to out for the last good release of each host"}
		}
		if err := p.canAsk(c, order, names); err != nil {
			return err
		}
		show, style := p.display(c)
		return p.carryOut(c, plan(), names[0], view{show, style})
	}
}
