package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/remote"
)

// common are the flags of every command that reads the inventory.
func common(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "inventory", Usage: "read `FILE`", Value: "inventory.toml"},
		&cli.StringFlag{Name: "service", Usage: "only this `SERVICE`"},
		&cli.StringFlag{Name: "on", Usage: "only the hosts of `SELECTOR`: web-1,web-*,@canary"},
		jsonFlag(),
		&cli.IntFlag{Name: "parallel", Usage: "at most `N` hosts at once", DefaultText: "max_parallel of the inventory"},
		&cli.BoolFlag{Name: "no-color", Usage: "no colours (NO_COLOR does the same)", DisableDefaultText: true},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show every check and step", DisableDefaultText: true},
	}, more...)
}

// helpFlag instead of the library's, which is one variable for all programs of a process.
func helpFlag() cli.Flag {
	return &cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Usage: "show this", DisableDefaultText: true}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "one JSON object a line on stdout", DisableDefaultText: true}
}

func waitFlag() cli.Flag {
	return &cli.DurationFlag{Name: "wait", Usage: "wait so long for another run's lease: `DURATION`, such as 10m", DefaultText: "do not wait"}
}

var yesFlag = func() cli.Flag { return &cli.BoolFlag{Name: "yes", Usage: "do not ask", DisableDefaultText: true} }
var dryRunFlag = func() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "show what would be done; change nothing", DisableDefaultText: true}
}

// order reads the inventory and what the flags select of it.
func (p *program) order(c *cli.Context, plan plans.Plan, name string) (*inventory.Inventory, plans.Order, error) {
	inv, err := inventory.Read(c.String("inventory"))
	if err != nil {
		return nil, plans.Order{}, err
	}
	if c.String("plan") != "" {
		saved, err := plans.ReadSaved(c.String("plan"))
		if err != nil {
			return nil, plans.Order{}, err
		}
		order := saved.Order()
		order.Require, err = required(c, inv, order.Environment)
		return inv, order, err
	}
	environment, err := inv.Environment(name)
	if err != nil {
		return nil, plans.Order{}, err
	}
	if c.IsSet("parallel") {
		if c.Int("parallel") < 1 {
			return nil, plans.Order{}, &usageError{"--parallel wants a number of at least 1", ""}
		}
		copied := *environment
		copied.Rollout.MaxParallel = c.Int("parallel")
		environment = &copied
	}
	hosts, err := selectHosts(c, environment)
	if err != nil {
		return nil, plans.Order{}, err
	}
	var label string
	var require []*inventory.Environment
	if plan.Name == "deploy" || plan.Name == "plan" { // of a release
		if label, err = labelOf(c, inv.Dir); err != nil {
			return nil, plans.Order{}, err
		}
		if require, err = required(c, inv, environment); err != nil {
			return nil, plans.Order{}, err
		}
	}
	services := inv.Services
	if c.IsSet("service") {
		s, err := inv.Service(c.String("service"))
		if err != nil {
			return nil, plans.Order{}, err
		}
		services = []*inventory.Service{s}
	}
	return inv, plans.Order{Plan: plan, Environment: environment, Hosts: hosts, Services: services, Label: label, Require: require}, nil
}

// required are the environments that a release must have gone through: by a saved plan, and by the inventory as it is now.
// A dry run does not ask those that come before on the command line: by then they would have it.
func required(c *cli.Context, inv *inventory.Inventory, environment *inventory.Environment) ([]*inventory.Environment, error) {
	names := c.Args().Slice()
	before := names[:max(0, slices.Index(names, environment.Name))]
	var all []*inventory.Environment
	wanted := slices.Clone(environment.Require)
	if now, err := inv.Environment(environment.Name); err == nil { // else the inventory has it no more; a saved plan does
		for _, name := range now.Require {
			if !slices.Contains(wanted, name) {
				wanted = append(wanted, name)
			}
		}
	}
	for _, name := range wanted {
		e, err := inv.Environment(name)
		if err != nil {
			return nil, err
		}
		if !c.Bool("dry-run") || !slices.Contains(before, name) {
			all = append(all, e)
		}
	}
	return all, nil
}

// selectHosts takes an empty --on for what it is: a variable of a script that is not set, and not all hosts.
func selectHosts(c *cli.Context, environment *inventory.Environment) ([]*inventory.Host, error) {
	if c.IsSet("on") && strings.Trim(c.String("on"), " ,") == "" {
		return nil, &usageError{"--on is empty: no host is selected", "leave --on out for all hosts of " + environment.Name}
	}
	return environment.Select(c.String("on"))
}

// environments are the command's arguments.
func environments(c *cli.Context, many bool) ([]string, error) {
	names := c.Args().Slice()
	example := "seatrial " + c.Command.Name + " staging"
	switch {
	case len(names) == 0:
		return nil, &usageError{c.Command.Name + " wants the name of an environment", example}
	case len(slices.Compact(slices.Sorted(slices.Values(names)))) < len(names):
		return nil, &usageError{"an environment is named twice: " + strings.Join(names, " "), example}
	case len(names) > 1 && !many:
		return nil, &usageError{fmt.Sprintf("%s takes one environment, not %d arguments: %s", c.Command.Name, len(names), strings.Join(names, " ")), example}
	}
	return names, nil
}

// runner joins the inventory's hosts and SSH.
func (p *program) runner(inv *inventory.Inventory, show ui.Display) *plans.Runner {
	dialer := &remote.Dialer{AgentSocket: os.Getenv("SSH_AUTH_SOCK")}
	return &plans.Runner{
		Connect: func(ctx context.Context, h *inventory.Host) (*remote.Conn, error) {
			return dialer.Dial(ctx, sshHost(inv.SSH, h))
		},
		Emit:  p.watched(show).Event,
		Now:   time.Now,
		Token: func() string { return strings.ToLower(rand.Text()) },
		Owner: owner(),

		Journal: journals(inv),
	}
}

// watched remembers which hosts are in trial while they are shown.
func (p *program) watched(show ui.Display) ui.Display {
	p.watch.Display = show
	return &p.watch
}

func sshHost(ssh inventory.SSH, h *inventory.Host) remote.Host {
	login := h.User
	if login == "" {
		login = ssh.User
	}
	return remote.Host{Name: h.Name, Address: h.Address, User: login, IdentityFiles: ssh.IdentityFiles, KnownHosts: ssh.KnownHosts,
		HostKey: h.HostKey, ConnectTimeout: ssh.ConnectTimeout, UseSSHConfig: ssh.UseSSHConfig}
}

// owner says who runs this, from where: shown to whoever finds the lease taken.
func owner() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed machine"
	}
	clean := strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, name+"@"+host)
	return fmt.Sprintf("%s (pid %d)", clean, os.Getpid())
}

// display is text or JSON.
func (p *program) display(c *cli.Context) (ui.Display, ui.Style) {
	style := ui.Style{Color: colored(c, p.out)}
	if c.Bool("json") {
		return ui.NewJSON(p.out, Version()), ui.Style{}
	}
	return &ui.Text{Out: p.out, Err: p.errs, Style: style, Live: terminal(p.errs), Verbose: c.Bool("verbose")}, style
}

func isJSON(show ui.Display) bool {
	_, ok := show.(*ui.JSON)
	return ok
}

func colored(c *cli.Context, w io.Writer) bool {
	return terminal(w) && !c.Bool("no-color") && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func terminal(stream any) bool {
	if s, ok := stream.(*shared); ok {
		stream = s.w
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask wants a clear yes from a person. An interrupt is a no; the read it leaves behind ends with the program.
func (p *program) ask(ctx context.Context, question string) bool {
	_, _ = fmt.Fprintf(p.errs, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(p.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case said := <-answer:
		return said == "y" || said == "yes"
	case <-ctx.Done():
		_, _ = fmt.Fprintln(p.errs)
		return false
	}
}
