package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

func (p *program) logsCommand() *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "the units' journal, across hosts",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial logs ENVIRONMENT [options]\n\nseatrial logs production -n 100\nseatrial logs production --on web-2 --follow",
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
	show, _ := p.display(c)
	run := p.runner(inv, show).Survey(c.Context, order)
	defer run.Close()
	lines := run.Logs(c.Int("n"))
	for {
		if err := lines.Next(c.Context, func(l plans.LogLine) { p.logLine(show, l) }); err != nil {
			return err
		}
		if !c.Bool("follow") {
			break
		}
		if !wait(c.Context, followEvery) {
			return nil
		}
	}
	code := run.ExitCode()
	run.Planned(code) // names the hosts that could not be asked
	if code != plans.ExitOK {
		return exit(code)
	}
	return nil
}

func (p *program) logLine(show ui.Display, l plans.LogLine) {
	if j, ok := show.(*ui.JSON); ok {
		j.Object(l)
		return
	}
	_, _ = fmt.Fprintf(p.out, "%s  %s\n", l.Host, ui.Clean(strings.TrimRight(l.Text, "\n")))
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
