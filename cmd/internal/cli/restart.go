package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/plans"
)

func (p *program) restartCommand() *cli.Command {
	return &cli.Command{
		Name:      "restart",
		Usage:     "restart what is installed: checks, restart, settle, verify",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial restart ENVIRONMENT [options]\n\nseatrial restart staging\nseatrial restart production --on web-1 --yes",
		Description: "Wave by wave, under the same lease and with the same checks as a deploy; nothing is copied. A service that\n" +
			"does not come back has nothing to be rolled back to: that is exit code 6.",
		Flags:  common(yesFlag(), dryRunFlag(), waitFlag()),
		Action: p.one(plans.Restart),
	}
}
