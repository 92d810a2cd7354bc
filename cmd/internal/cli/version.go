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
		UsageText: "seatrial version [--json]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "one JSON object a line on stdout", DisableDefaultText: true}},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &usageError{"version takes no arguments", "seatrial version"}
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
