package cli

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/plans"
)

func (p *program) planCommand() *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "show what deploy would do on each host; reads only",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial plan ENVIRONMENT [options]\n\nseatrial plan staging\nseatrial plan production --on web-1 --json\nseatrial plan production --detailed-exitcode",
		Description: "One read-only request per host; nothing is created, locked or written there (the login itself is logged by\n" +
			"the host). The preview is computed from the same facts by the same code as the deploy. It cannot know whether\n" +
			"the checks pass, what systemd-analyze says of the unit, and whether the service will start.",
		Flags:  common(&cli.BoolFlag{Name: "detailed-exitcode", Usage: "exit 2 when files would change", DisableDefaultText: true}),
		Action: p.plan,
	}
}

func (p *program) plan(c *cli.Context) error {
	names, err := environments(c, false)
	if err != nil {
		return err
	}
	plan := plans.Deploy()
	plan.Name = "plan" // the same steps, only looked at
	inv, order, err := p.order(c, plan, names[0])
	if err != nil {
		return err
	}
	show, style := p.display(c)
	run := p.runner(inv, show).Survey(c.Context, order)
	defer run.Close()
	p.preview(run, view{show, style})
	code := run.ExitCode()
	changes := slices.ContainsFunc(run.Preview(), func(p plans.HostPreview) bool { return p.Changes })
	if code == plans.ExitOK && changes && c.Bool("detailed-exitcode") {
		code = plans.ExitChanges
	}
	return planned(run, show, code)
}
