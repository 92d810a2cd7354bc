package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/inventory"
)

func (p *program) inventoryCommand() *cli.Command {
	return &cli.Command{
		Name:        "inventory",
		Usage:       "check the inventory, and show its environments, hosts and services",
		ArgsUsage:   "[ENVIRONMENT]",
		UsageText:   "seatrial inventory [ENVIRONMENT] [options]\n\nseatrial inventory\nseatrial inventory production --on @canary",
		Description: "Reads the inventory and the files that it names, connects to nothing, and reports every problem at once.",
		Flags:       common(),
		Action:      p.showInventory,
	}
}

// inventoryRow is one host of an environment.
type inventoryRow struct {
	Type        string   `json:"type"`
	Environment string   `json:"environment"`
	Host        string   `json:"host"`
	Address     string   `json:"address"`
	User        string   `json:"user,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	Services    []string `json:"services"`
}

func (p *program) showInventory(c *cli.Context) error {
	if c.Args().Len() > 1 {
		return &usageError{"inventory takes one environment at most", "seatrial inventory staging"}
	}
	inv, err := inventory.Read(c.String("inventory"))
	if err != nil {
		return err
	}
	shown := inv.Environments
	if name := c.Args().First(); name != "" {
		environment, err := inv.Environment(name)
		if err != nil {
			return err
		}
		shown = []*inventory.Environment{environment}
	}
	var rows []inventoryRow
	for _, environment := range shown {
		hosts, err := selectHosts(c, environment)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			ssh := sshHost(inv.SSH, h)
			rows = append(rows, inventoryRow{"inventory.host", environment.Name, h.Name, h.Address, ssh.User, h.Tags, h.Services})
		}
	}
	p.inventoryTable(c, rows)
	return nil
}

func (p *program) inventoryTable(c *cli.Context, rows []inventoryRow) {
	if c.Bool("json") {
		j := ui.NewJSON(p.out, Version())
		for _, r := range rows {
			j.Object(r)
		}
		return
	}
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ENVIRONMENT\tHOST\tADDRESS\tUSER\tTAGS\tSERVICES")
	for _, r := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Environment, r.Host, r.Address, r.User, strings.Join(r.Tags, ","), strings.Join(r.Services, ","))
	}
	_ = table.Flush()
}
