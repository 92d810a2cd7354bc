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
		UsageText: "seatrial plan ENVIRONMENT [options]\n\nseatrial plan staging\nseatrial plan production --on web-1 --json\nseatrial plan production --checks --detailed-exitcode\nseatrial plan production --out production.plan",
		Description: "Reads only: nothing is created, locked or written on the hosts (what they still log is the login). The preview\n" +
			"is computed from the same facts by the same code as the deploy, and systemd lints the new units where they leave\n" +
			"no file behind. What it cannot know is listed: whether the service starts, and without --checks whether the\n" +
			"checks pass. --out saves the plan; deploy --plan does exactly that, or refuses and says what has moved.",
		Flags: common(&cli.BoolFlag{Name: "checks", Usage: "run the checks of the inventory now", DisableDefaultText: true},
			&cli.StringFlag{Name: "out", Usage: "save the plan to `FILE`, for deploy --plan"},
			releaseFlag(),
			&cli.BoolFlag{Name: "detailed-exitcode", Usage: "exit 2 when files would change", DisableDefaultText: true}),
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
	if c.IsSet("out") && c.String("out") == "" {
		return &usageError{"--out is empty: it wants the name of a file", "seatrial plan " + names[0] + " --out FILE"}
	}
	order.Preview = true
	show, style := p.display(c)
	run := p.runner(inv, show).Survey(c.Context, order)
	defer run.Close()
	run.Inspect(c.Context, c.Bool("checks"))
	p.preview(run, view{show, style})
	code := run.ExitCode()
	changes := slices.ContainsFunc(run.Preview(), func(p plans.HostPreview) bool { return p.Changes })
	if code == plans.ExitOK && changes && c.Bool("detailed-exitcode") {
		code = plans.ExitChanges
	}
	if c.IsSet("out") {
		if err := p.save(c.String("out"), inv.SSH.User, run, view{show, style}); err != nil {
			return err
		}
	}
	return planned(run, show, code)
}
