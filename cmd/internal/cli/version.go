package cli

import (
	"fmt"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
)

// Version of this build, as the module system knows it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func (p *program) versionCommand() *cli.Command {
	return &cli.Command{
		Name:      "version",
		Usage:     "show the version",
		UsageText: "seatrial version [--json | --schema]\n\nseatrial version\nseatrial version --schema > seatrial.schema.json",
		Flags: []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "schema", Usage: "print the JSON Schema of what any command prints with --json",
			DisableDefaultText: true}},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &usageError{"version takes no arguments", "seatrial version"}
			}
			if c.Bool("schema") {
				_, _ = fmt.Fprint(p.out, ui.JSONSchema)
				return nil
			}
			if c.Bool("json") {
				ui.NewJSON(p.out, Version())
				return nil
			}
			_, _ = fmt.Fprintln(p.out, "seatrial", Version())
			return nil
		},
	}
}
