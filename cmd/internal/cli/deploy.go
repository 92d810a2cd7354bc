package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

func (p *program) deployCommand() *cli.Command {
	return &cli.Command{
		Name:      "deploy",
		Usage:     "push the release to every host of an environment, try it, and commit or roll back",
		ArgsUsage: "ENVIRONMENT...",
		UsageText: "seatrial deploy ENVIRONMENT... [options]\n\nseatrial deploy staging\nseatrial deploy staging --dry-run\nseatrial deploy production --on @canary\nseatrial deploy staging production --yes\nseatrial deploy --plan production.plan",
		Description: "Takes facts from all hosts first, and refuses when one of them cannot be deployed to. Then every host is\n" +
			"prepared, and only then the hosts change, wave by wave: the new unit runs as a trial from /run, must settle\n" +
			"and verify, and is committed by one rename. Whatever fails, each host ends on exactly the old or the new unit.\n" +
			"A saved plan (plan --out) is applied exactly and asks nothing, or is refused when a host is not as it was.\n" +
			"A deploy restarts the service also where nothing changed. Several environments go in order, each only after\n" +
			"the one before succeeded.",
		Flags: common(yesFlag(), dryRunFlag(), waitFlag(), releaseFlag(),
			&cli.StringFlag{Name: "plan", Usage: "do exactly what plan --out saved in `FILE`, or refuse and say what has moved"}),
		Action: func(c *cli.Context) error { return p.deployAll(c, plans.Deploy()) },
	}
}

// deployed are the environments of a deploy: the command's arguments, or the one that a saved plan is for.
func deployed(c *cli.Context) ([]string, error) {
	if !c.IsSet("plan") {
		return environments(c, true)
	}
	for _, flag := range []string{"on", "service", "release"} {
		if c.IsSet(flag) {
			return nil, &usageError{fmt.Sprintf("--%s does not go with --plan: the plan says what is deployed, and where", flag), "seatrial deploy --plan FILE"}
		}
	}
	saved, err := plans.ReadSaved(c.String("plan"))
	if err != nil {
		return nil, err
	}
	name := saved.Environment.Name
	if args := c.Args().Slice(); len(args) > 0 && !slices.Equal(args, []string{name}) {
		return nil, &usageError{fmt.Sprintf("the saved plan is for %s, not for %s", name, strings.Join(args, " ")), "seatrial deploy --plan " + c.String("plan")}
	}
	return []string{name}, nil
}

func (p *program) deployAll(c *cli.Context, plan plans.Plan) error {
	names, err := deployed(c)
	if err != nil {
		return err
	}
	for _, name := range names { // all are read before the first is touched
		_, order, err := p.order(c, plan, name)
		if err != nil {
			return err
		}
		if err := p.canAsk(c, order, names); err != nil {
			return err
		}
	}
	show, style := p.display(c)
	for _, name := range names {
		if err := p.carryOut(c, plan, name, view{show, style}); err != nil {
			return err
		}
	}
	return nil
}

// asks reports whether a person has to agree first.
func asks(c *cli.Context, order plans.Order) bool {
	return order.Environment.Confirm && order.Saved == nil && order.Plan.Writes() && !c.Bool("yes") && !c.Bool("dry-run")
}

// canAsk refuses what nobody could agree to, before the first of several environments is touched.
func (p *program) canAsk(c *cli.Context, order plans.Order, names []string) error {
	if !asks(c, order) || terminal(p.in) && !c.Bool("json") {
		return nil
	}
	hint := fmt.Sprintf("seatrial %s %s --yes", order.Plan.Name, strings.Join(names, " "))
	if order.Plan.Name == "deploy" && len(names) == 1 {
		hint += fmt.Sprintf("; or seatrial plan %s --out FILE, and seatrial deploy --plan FILE", names[0])
	}
	return &usageError{fmt.Sprintf("environment %s wants to be confirmed, and there is nobody to ask", order.Environment.Name), hint}
}

// view is how the person sees the run.
type view struct {
	show  ui.Display
	style ui.Style
}

// carryOut does the plan; with --wait once more when another run was faster: two that waited for the same begin together.
func (p *program) carryOut(c *cli.Context, plan plans.Plan, name string, v view) error {
	end := time.Now().Add(c.Duration("wait"))
	for {
		beaten, err := p.attempt(c, plan, name, v, time.Until(end))
		left := time.Until(end).Round(time.Second)
		if !beaten || left <= 0 {
			return err
		}
		if _, text := v.show.(*ui.Text); text {
			_, _ = fmt.Fprintf(p.errs, "another run was faster: waiting for at most %s\n", left)
		}
	}
}

// attempt surveys, waits for other runs, asks where the environment wants that, and does the plan. beaten: all hosts were
// free, and then the lease of one of them was not to be had.
func (p *program) attempt(c *cli.Context, plan plans.Plan, name string, v view, limit time.Duration) (beaten bool, _ error) {
	inv, order, err := p.order(c, plan, name)
	if err != nil {
		return false, err
	}
	order.To = c.String("to")
	asks := asks(c, order)
	order.Preview = asks || c.Bool("dry-run")
	run := p.runner(inv, v.show).Survey(c.Context, order)
	defer run.Close()
	if c.Bool("dry-run") {
		run.Inspect(c.Context, false)
		p.preview(run, v)
		return false, planned(run, v.show, run.ExitCode())
	}
	if limit > 0 && run.ExitCode() == plans.ExitLocked {
		if _, text := v.show.(*ui.Text); text {
			_, _ = fmt.Fprintf(p.errs, "locked by another run: waiting for at most %s\n", c.Duration("wait"))
		}
		run.Await(c.Context, limit)
	}
	free := run.ExitCode() != plans.ExitLocked
	if asks && len(run.Ready()) > 0 {
		run.Inspect(c.Context, false)
	}
	if hosts := len(run.Ready()); asks && hosts > 0 { // whatever Do would change, somebody has agreed to
		p.preview(run, v)
		if !p.ask(c.Context, question(order, hosts)) {
			return false, p.aborted(c.Context, name)
		}
	}
	p.touching.Store(plan.Writes())
	defer p.touching.Store(false)
	if code := run.Do(c.Context); code != plans.ExitOK {
		return free && code == plans.ExitLocked, exit(code)
	}
	return false, nil
}

// question names the environment, and how many of its hosts would change.
func question(o plans.Order, n int) string {
	hosts := "1 host"
	if n != 1 {
		hosts = fmt.Sprintf("%d hosts", n)
	}
	return fmt.Sprintf("%s on %s of %s?", o.Plan.Name, hosts, o.Environment.Name)
}

// aborted is how a run ends that nobody has agreed to.
func (p *program) aborted(ctx context.Context, environment string) error {
	text := "aborted, no changes made to " + environment
	if ctx.Err() != nil {
		ui.Error(p.errs, text, "")
		return exit(plans.ExitInterrupted)
	}
	return &usageError{text, ""}
}

// planned ends a run that was only looked at. As text everything has been said by then; JSON has its last line.
func planned(run *plans.Run, show ui.Display, code int) error {
	if _, ok := show.(*ui.JSON); ok {
		run.Planned(code)
	}
	if code != plans.ExitOK {
		return exit(code)
	}
	return nil
}

// preview shows what would be done, and what stands in the way.
func (p *program) preview(run *plans.Run, v view) {
	previews := run.Preview()
	if j, ok := v.show.(*ui.JSON); ok {
		for _, preview := range previews {
			j.Object(ui.PreviewObject(preview))
		}
	} else {
		ui.Preview(p.out, v.style, previews)
	}
}
