package cli

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

func (p *program) checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "run the checks and verify what runs; changes nothing",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial check ENVIRONMENT [options]\n\nseatrial check production\nseatrial check production --on web-1 -v\n" +
			"seatrial check production >/dev/null || echo look at production     in a crontab",
		Description: "For cron and for people: one line when all is well, and exit code 0. What is not well is named with its hosts,\n" +
			"what the check said and what to do; the exit code is 3 when a check or the verification failed, 4 when a host\n" +
			"cannot be asked. The other hosts are looked at all the same. Warnings are shown and change no exit code.\n" +
			"Nothing is said on stderr, unless it is a terminal or with -v.",
		Flags:  common(),
		Action: p.check,
	}
}

func (p *program) check(c *cli.Context) error {
	names, err := environments(c, false)
	if err != nil {
		return err
	}
	show, style := p.display(c)
	if !isJSON(show) {
		show = p.checkDisplay(c, style)
	}
	return p.carryOut(c, plans.Check(), names[0], view{show, style})
}

func (p *program) checkDisplay(c *cli.Context, style ui.Style) ui.Display {
	show := &ui.Check{Out: p.out, Style: style}
	switch {
	case c.Bool("verbose"):
		show.Steps = &ui.Text{Out: io.Discard, Err: p.errs, Style: style, Live: terminal(p.errs), Verbose: true}
	case terminal(p.errs):
		show.Live = p.errs
	}
	return show
}
