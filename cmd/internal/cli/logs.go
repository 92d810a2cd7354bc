package cli

import (
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

func (p *program) logsCommand() *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "the units' journal, across hosts, merged by time",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial logs ENVIRONMENT [options]\n\nseatrial logs production -n 100\nseatrial logs production --on web-2 --follow\nseatrial logs staging --json",
		Description: "On stdout there is nothing but lines of the journals: host, time (of the host's clock, shown in the zone of this\n" +
			"machine), program and text. With --follow new lines are looked for every second until Ctrl-C, which is no\n" +
			"failure (exit code 0). A host that goes away then is said once, on stderr, and joins again, where it was, when\n" +
			"it is back. Exit code 4 when a host could not be asked in the end.",
		Flags: common(
			&cli.IntFlag{Name: "n", Usage: "the last `N` lines of each host", Value: 20},
			&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on showing new lines until interrupted", DisableDefaultText: true}),
		Action: p.logs,
	}
}

const followEvery = time.Second

func (p *program) logs(c *cli.Context) error {
	names, err := environments(c, false)
	if err != nil {
		return err
	}
	if c.Int("n") < 0 || c.Int("n") > 10000 {
		return &usageError{"-n wants a number from 0 to 10000", "seatrial logs " + names[0] + " -n 100"}
	}
	inv, order, err := p.order(c, plans.Look("logs"), names[0])
	if err != nil {
		return err
	}
	show, each := p.logDisplay(c)
	run := p.runner(inv, show).Survey(c.Context, order)
	defer run.Close()
	want := plans.LogOrder{Lines: c.Int("n")}
	if c.Bool("follow") {
		want.Follow = followEvery
	}
	run.Logs(c.Context, want, each)
	code := run.ExitCode()
	run.Planned(code) // names the hosts that could not be asked
	if code != plans.ExitOK {
		return exit(code)
	}
	return nil
}

// logDisplay shows events, and lines.
func (p *program) logDisplay(c *cli.Context) (ui.Display, func(plans.LogLine)) {
	show, style := p.display(c)
	if j, ok := show.(*ui.JSON); ok {
		return j, func(l plans.LogLine) { j.Object(l) }
	}
	text := &ui.Logs{Out: p.out, Err: p.errs, Style: style}
	return text, text.Line
}
