package cli

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/plans"
)

func (p *program) resumeCommand() *cli.Command {
	return &cli.Command{
		Name:      "resume",
		Usage:     "finish or undo what a run that died on this machine left behind",
		ArgsUsage: "[RUN]",
		UsageText: "seatrial resume [RUN] [options]\n\nseatrial resume                        the last run that did not come to its end\nseatrial resume 20260314T091500Z-1a2b",
		Description: "Asks every host of the run where it stands. A commit that had been decided is carried out where the host still\n" +
			"waits for it; everything else goes back, and when the fleet is divided the environment's on_failure decides.\n" +
			"Hosts also go back by themselves when the lease ends; resume says what became of each.",
		Flags: []cli.Flag{jsonFlag(),
			&cli.BoolFlag{Name: "no-color", Usage: "no colours (NO_COLOR does the same)", DisableDefaultText: true},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show every check and step", DisableDefaultText: true}},
		Action: p.resume,
	}
}

func (p *program) resume(c *cli.Context) error {
	died, dir, err := p.pastRun(c, func(r plans.JournalRun) bool { return len(r.Unsettled()) > 0 })
	if err != nil && c.Args().First() == "" {
		var usage *usageError
		if errors.As(err, &usage) {
			if show, _ := p.display(c); !isJSON(show) {
				_, _ = fmt.Fprintln(p.out, "nothing to resume: every run on this machine came to its end on all its hosts")
			}
			return nil
		}
	}
	if err != nil {
		return err
	}
	if len(died.Unsettled()) == 0 {
		return &usageError{fmt.Sprintf("the run %s came to its end: there is nothing to resume", died.ID), "seatrial show " + died.ID}
	}
	inv, err := inventory.Read(died.Inventory)
	if err != nil {
		return err
	}
	environment, err := inv.Environment(died.Environment)
	if err != nil {
		return err
	}
	plan, ok := plans.Named(died.Plan)
	if !ok {
		return fmt.Errorf("the run %s carried out the plan %q, which this seatrial does not know", died.ID, died.Plan)
	}
	journal, err := plans.ReopenJournal(dir, died.ID)
	if errors.Is(err, plans.ErrRunLives) {
		return &usageError{err.Error(), "wait for it, or end it: it undoes what it has begun when it is interrupted"}
	}
	if err != nil {
		return err
	}
	if died, err = plans.ReadJournal(dir, died.ID); err != nil { // it may have lived when it was read
		return errors.Join(err, journal.Close())
	}
	show, _ := p.display(c)
	p.missing(died, environment)
	p.touching.Store(true)
	defer p.touching.Store(false)
	code := p.runner(inv, show).Resume(c.Context, plans.Order{Plan: plan, Environment: environment, Hosts: environment.Hosts, Services: inv.Services}, died, journal)
	if code != plans.ExitOK {
		return exit(code)
	}
	return nil
}

// missing names hosts of the run that are no longer in the inventory: nobody can ask them.
func (p *program) missing(died plans.JournalRun, environment *inventory.Environment) {
	known := map[string]bool{}
	for _, h := range environment.Hosts {
		known[h.Name] = true
	}
	for _, l := range died.Lanes {
		if !known[l.Host] {
			ui.Error(p.errs, fmt.Sprintf("host %s of the run is no longer in environment %s and is left out", l.Host, environment.Name),
				"its guard has put the old release back when the lease ended, unless it was committed")
		}
	}
}
