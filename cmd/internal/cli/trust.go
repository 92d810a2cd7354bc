package cli

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
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

// keyRow is what became of one host's key.
type keyRow struct {
	Type        string `json:"type"`
	Host        string `json:"host"`
	Status      string `json:"status"` // known, unknown, appended, failed
	Algorithm   string `json:"algorithm,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	File        string `json:"file,omitempty"` // where an unknown key belongs, or has been appended
	Text        string `json:"text,omitempty"` // why there is no key to show
	Hint        string `json:"hint,omitempty"`
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
	show := p.keyDisplay(c)
	unknown, keys, code := p.showKeys(c, sshHosts(inv, order.Hosts), show)
	if len(keys) > 0 {
		if !c.Bool("yes") && (!terminal(p.in) || c.Bool("json")) {
			return &usageError{"there is nobody to ask whether these keys are the right ones", "seatrial trust " + names[0] + " --yes"}
		}
		if !c.Bool("yes") && !p.ask(c.Context, fmt.Sprintf("append %d keys to %s?", len(keys), keys[0].File)) {
			return &usageError{"aborted, no changes made", ""}
		}
		if err := remote.Trust(keys); err != nil {
			return err
		}
		for _, row := range unknown {
			row.Status = "appended"
			show(row)
		}
	}
	if code != plans.ExitOK {
		return exit(code)
	}
	return nil
}

// keyDisplay shows a key as text or as a line of JSON.
func (p *program) keyDisplay(c *cli.Context) func(keyRow) {
	if c.Bool("json") {
		j := ui.NewJSON(p.out, Version())
		return func(r keyRow) { j.Object(r) }
	}
	return func(r keyRow) {
		switch r.Status {
		case "failed":
			ui.Error(p.errs, r.Host+": "+r.Text, r.Hint)
		case "appended":
			_, _ = fmt.Fprintf(p.out, "appended  %s  to %s\n", r.Host, r.File)
		case "unknown":
			_, _ = fmt.Fprintf(p.out, "NEW       %s  %s  %s\n", r.Host, r.Algorithm, r.Fingerprint)
		default:
			_, _ = fmt.Fprintf(p.out, "known     %s  %s  %s\n", r.Host, r.Algorithm, r.Fingerprint)
		}
	}
}

func sshHosts(inv *inventory.Inventory, hosts []*inventory.Host) []remote.Host {
	var all []remote.Host
	for _, h := range hosts {
		all = append(all, sshHost(inv.SSH, h))
	}
	return all
}

// showKeys shows every host's key and returns the ones that are not known yet.
func (p *program) showKeys(c *cli.Context, hosts []remote.Host, show func(keyRow)) (unknown []keyRow, keys []remote.HostKey, code int) {
	dialer := &remote.Dialer{}
	for _, h := range hosts {
		key, err := dialer.ShowHostKey(c.Context, h)
		row := keyRow{Type: "host.key", Host: h.Name, Status: "known", Algorithm: key.Type, Fingerprint: key.Fingerprint}
		switch {
		case err != nil:
			row.Status, code = "failed", plans.ExitRefused
			row.Text, row.Hint = keyFault(err)
		case !key.Known:
			row.Status, row.File = "unknown", key.File
			unknown, keys = append(unknown, row), append(keys, key)
		}
		show(row)
	}
	return unknown, keys, code
}

func keyFault(err error) (text, hint string) {
	var e *remote.Error
	if errors.As(err, &e) {
		return e.Message(), e.Hint
	}
	return err.Error(), ""
}
