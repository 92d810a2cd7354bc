package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/remote"
)

func (p *program) inventoryCommand() *cli.Command {
	return &cli.Command{
		Name:      "inventory",
		Usage:     "show what the inventory says of environments, hosts and services; or only check it",
		ArgsUsage: "[ENVIRONMENT|check]",
		UsageText: "seatrial inventory [ENVIRONMENT] [options]\nseatrial inventory check [options]\n\nseatrial inventory\nseatrial inventory production --on @canary\n" +
			"seatrial inventory check     one line when nothing is wrong; else every problem, and exit code 1",
		Description: "Reads the inventory, the files that it names and ~/.ssh/config, connects to nothing, and reports every problem at\n" +
			"once. What hosts have in common is said once. An environment called check is shown with --environment check.",
		Flags:  common(&cli.StringFlag{Name: "environment", Usage: "show this `ENVIRONMENT`, whatever it is called"}),
		Action: p.inventory,
	}
}

func (p *program) inventory(c *cli.Context) error {
	names := c.Args().Slice()
	checks := slices.Equal(names, []string{"check"}) && !c.IsSet("environment")
	if c.IsSet("environment") {
		names = append(names, c.String("environment"))
	}
	if len(names) > 1 {
		return &usageError{"inventory takes one environment at most", "seatrial inventory staging"}
	}
	inv, err := inventory.Read(c.String("inventory"))
	switch {
	case checks && c.Bool("json"):
		return p.checkedJSON(inv, err)
	case err != nil:
		return err
	case checks:
		_, _ = fmt.Fprintln(p.out, checkedInventory(inv))
		return nil
	}
	return p.showInventory(c, inv, names)
}

func checkedInventory(inv *inventory.Inventory) ui.InventoryChecked {
	hosts := 0
	for _, e := range inv.Environments {
		hosts += len(e.Hosts)
	}
	return ui.InventoryChecked{Type: "inventory.checked", File: inv.Path, Environments: len(inv.Environments), Hosts: hosts, Services: len(inv.Services)}
}

func (p *program) checkedJSON(inv *inventory.Inventory, err error) error {
	var found *inventory.ProblemsError
	if err != nil && !errors.As(err, &found) {
		return err
	}
	j := ui.NewJSON(p.out, Version())
	if err == nil {
		j.Object(checkedInventory(inv))
		return nil
	}
	for _, f := range found.Problems {
		j.Object(ui.InventoryProblem{Type: "inventory.problem", File: f.File, Line: f.Line, Text: f.Message, Hint: f.Hint})
	}
	return err
}

func (p *program) showInventory(c *cli.Context, inv *inventory.Inventory, names []string) error {
	shown := inv.Environments
	if len(names) == 1 {
		environment, err := inv.Environment(names[0])
		if err != nil {
			return err
		}
		shown = []*inventory.Environment{environment}
	}
	environments, hosts, err := environmentRows(c, inv, shown)
	if err != nil {
		return err
	}
	services, err := serviceRows(c, inv, hosts)
	if err != nil {
		return err
	}
	if !c.Bool("json") {
		ui.Inventory(p.out, environments, hosts, services)
		return nil
	}
	j := ui.NewJSON(p.out, Version())
	objects(j, environments)
	objects(j, hosts)
	objects(j, services)
	return nil
}

func objects[T any](j *ui.JSON, rows []T) {
	for _, r := range rows {
		j.Object(r)
	}
}

func environmentRows(c *cli.Context, inv *inventory.Inventory, shown []*inventory.Environment) (environments []ui.InventoryEnvironment, hosts []ui.InventoryHost, err error) {
	dialer := &remote.Dialer{}
	for _, e := range shown {
		environments = append(environments, environmentRow(e))
		selected, err := selectHosts(c, e)
		if err != nil {
			return nil, nil, err
		}
		for _, h := range selected {
			row, err := hostRow(c.Context, dialer, sshHost(inv.SSH, h), h)
			if err != nil {
				return nil, nil, err
			}
			row.Environment = e.Name
			hosts = append(hosts, row)
		}
	}
	return environments, hosts, nil
}

func environmentRow(e *inventory.Environment) ui.InventoryEnvironment {
	r := e.Rollout
	row := ui.InventoryEnvironment{Type: "inventory.environment", Environment: e.Name, Confirm: e.Confirm, Require: e.Require, Pause: r.Pause.String(),
		MaxParallel: r.MaxParallel, MaxFailed: r.MaxFailed.String(), Unreachable: r.Unreachable, OnFailure: r.OnFailure}
	switch {
	case r.Canary.Tag != "":
		row.Canary = "@" + r.Canary.Tag
	case r.Canary.Count > 0:
		row.Canary = fmt.Sprint(r.Canary.Count)
	}
	for _, w := range r.Waves {
		row.Waves = append(row.Waves, w.String())
	}
	return row
}

func hostRow(ctx context.Context, dialer *remote.Dialer, to remote.Host, h *inventory.Host) (ui.InventoryHost, error) {
	route, err := dialer.Route(ctx, to)
	if err != nil {
		return ui.InventoryHost{}, err
	}
	login, _, _ := strings.Cut(route[len(route)-1], "@")
	return ui.InventoryHost{Type: "inventory.host", Host: h.Name, Address: h.Address, User: login, Route: route, Tags: h.Tags,
		HostKey: h.HostKey, Services: h.Services}, nil
}

// serviceRows are the services that the hosts run.
func serviceRows(c *cli.Context, inv *inventory.Inventory, hosts []ui.InventoryHost) ([]ui.InventoryService, error) {
	if c.IsSet("service") {
		if _, err := inv.Service(c.String("service")); err != nil {
			return nil, err
		}
	}
	var rows []ui.InventoryService
	for _, s := range inv.Services {
		runs := slices.ContainsFunc(hosts, func(h ui.InventoryHost) bool { return slices.Contains(h.Services, s.Name) })
		if runs && (!c.IsSet("service") || c.String("service") == s.Name) {
			rows = append(rows, serviceRow(s))
		}
	}
	return rows, nil
}

func serviceRow(s *inventory.Service) ui.InventoryService {
	row := ui.InventoryService{Type: "inventory.service", Service: s.Name, StartTimeout: s.StartTimeout.String(),
		Window: s.Settle.Window.String(), RefuseDrift: s.RefuseDrift}
	for _, u := range s.Units {
		row.Units = append(row.Units, u.Names()...)
		row.Files = append(row.Files, ui.InventoryFile{Path: u.Path, Target: "/etc/systemd/system/" + u.Name, Digest: u.Digest})
	}
	if l := s.Logs; l != nil {
		row.Directory = fmt.Sprintf("%s %s:%s %s", l.Directory, l.Owner, l.Group, l.Mode)
		if f := l.Logrotate; f != nil {
			row.Files = append(row.Files, ui.InventoryFile{Path: f.Path, Target: f.Target, Digest: f.Digest})
		}
	}
	for _, check := range s.Checks {
		row.Checks = append(row.Checks, ui.InventoryCheck{Check: check.Name, Severity: check.Severity, What: checkWords(check)})
	}
	for _, address := range s.Verify.Listen {
		row.Verify = append(row.Verify, fmt.Sprintf("listens on %s within %s", address, s.Verify.Timeout))
	}
	for _, h := range s.Verify.HTTP {
		what := fmt.Sprintf("%s answers %d", h.URL, h.Status)
		if h.Contains != "" {
			what += fmt.Sprintf(" with %q", h.Contains)
		}
		row.Verify = append(row.Verify, what)
	}
	return row
}

// checkWords says what a check does. The values of its environment are not shown: people put secrets there.
func checkWords(c inventory.Check) string {
	if c.Command == nil {
		switch {
		case c.Directory != "":
			return "directory " + c.Directory
		case c.File != "":
			return "file " + c.File
		}
		return "executable " + c.Executable
	}
	var words []string
	for _, w := range c.Command {
		if w == "" || strings.ContainsAny(w, " \t\n\"'\\") {
			w = fmt.Sprintf("%q", w)
		}
		words = append(words, w)
	}
	text := fmt.Sprintf("%s (as %s", strings.Join(words, " "), cmp.Or(c.User, "root"))
	if c.WorkingDirectory != "" {
		text += ", in " + c.WorkingDirectory
	}
	for _, v := range c.Environment {
		text += ", with " + v.Name
	}
	return text + ", within " + c.Timeout.String() + ")"
}
