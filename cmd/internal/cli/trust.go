package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/remote"
)

func (p *program) trustCommand() *cli.Command {
	return &cli.Command{
		Name:      "trust",
		Usage:     "show the hosts' keys, and append unknown ones to known_hosts on consent",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial trust ENVIRONMENT [options]\n\nseatrial trust staging\nseatrial trust staging --on web-3 --yes",
		Description: "Compare the fingerprints with what the hosts' consoles or your provider say: ssh-keygen -lf on the host. A key that\n" +
			"differs from the known one is never accepted here; it is an error.",
		Flags:  common(yesFlag()),
		Action: p.trust,
	}
}

func (p *program) trust(c *cli.Context) error {
	names, err := environments(c, false)
	if err != nil {
		return err
	}
	inv, order, err := p.order(c, plans.Look("trust"), names[0])
	if err != nil {
		return err
	}
	keys, code := p.showKeys(c, inv, order.Hosts)
	if len(keys) > 0 {
		if !c.Bool("yes") && !terminal(p.in) {
			return &usageError{"there is nobody to ask whether these keys are the right ones", "seatrial trust " + names[0] + " --yes"}
		}
		if !c.Bool("yes") && !p.ask(c.Context, fmt.Sprintf("append %d keys to %s?", len(keys), keys[0].File)) {
			return &usageError{"aborted, no changes made", ""}
		}
		if err := remote.Trust(keys); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(p.out, "%d keys appended to %s\n", len(keys), keys[0].File)
	}
	if code != plans.ExitOK {
		return exit(code)
	}
	return nil
}

// showKeys prints every host's key and returns the ones that are not known yet.
func (p *program) showKeys(c *cli.Context, inv *inventory.Inventory, hosts []*inventory.Host) ([]remote.HostKey, int) {
	dialer := &remote.Dialer{}
	var unknown []remote.HostKey
	code := plans.ExitOK
	for _, h := range hosts {
		key, err := dialer.ShowHostKey(c.Context, sshHost(inv.SSH, h))
		if err != nil {
			p.explain(err)
			code = plans.ExitRefused
			continue
		}
		state := "known"
		if !key.Known {
			state = "NEW"
			unknown = append(unknown, key)
		}
		_, _ = fmt.Fprintf(p.out, "%-5s  %s  %s  %s\n", state, h.Name, key.Type, key.Fingerprint)
	}
	return unknown, code
}
