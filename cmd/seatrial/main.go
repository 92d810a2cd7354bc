// Command seatrial deploys systemd services over SSH.
package main

import (
	"os"

	"github.com/seatrial/seatrial/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }
