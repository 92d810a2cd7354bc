package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/plans"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:        "check",
		Usage:       "run the checks and verify what runs; changes nothing",
		ArgsUsage:   "ENVIRONMENT",
		UsageText:   "seatrial check ENVIRONMENT [options]\n\nseatrial check production\nseatrial check production -v",
		Description: "For cron and for people: exit code 0 when all is well, 3 when a check or the verification failed.",
		Flags:       common(),
		Action:      p.one(plans.Check),
	}
}
