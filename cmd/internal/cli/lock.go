package cli

import (
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/plans"
)

func (p *program) lockCommand() *cli.Command {
	return &cli.Command{
		Name:      "lock",
		Usage:     "hold an environment for maintenance: no run gets its lease until unlock",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial lock ENVIRONMENT --message REASON [options]\n\nseatrial lock production --message 'moving the database'\nseatrial unlock production",
		Flags:     common(&cli.StringFlag{Name: "message", Aliases: []string{"m"}, Usage: "why, for whoever finds it: `REASON`"}),
		Action: func(c *cli.Context) error {
			message := strings.TrimSpace(c.String("message"))
			if message == "" || strings.ContainsAny(message, "\n\r\x00") {
				return &usageError{"a maintenance lock wants a reason, on one line", "seatrial lock production --message 'moving the database'"}
			}
			return p.one(func() plans.Plan { return plans.Hold(message) })(c)
		},
	}
}

func (p *program) unlockCommand() *cli.Command {
	return &cli.Command{
		Name:      "unlock",
		Usage:     "remove a maintenance lock, or with --steal take the lease away from a run",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial unlock ENVIRONMENT [options]\n\nseatrial unlock production --dry-run     who holds it\nseatrial unlock production\nseatrial unlock production --steal",
		Description: "A run whose lease is stolen is fenced: it can change nothing more on that host. What it had begun is undone first.\n" +
			"A dead run's lease ends by itself; stealing is for those who cannot wait.",
		Flags: common(dryRunFlag(), &cli.BoolFlag{Name: "steal", Usage: "also from a run that is alive", DisableDefaultText: true}),
		Action: func(c *cli.Context) error {
			return p.one(func() plans.Plan { return plans.Unlock(c.Bool("steal")) })(c)
		},
	}
}
