//go:build !linux

package lab

import (
	"errors"
	"os"
	"os/exec"
)

// Elsewhere the package compiles so that tests which want a lab do, and can
// be skipped by Require; nothing below is ever reached.

var errNoDevice = errors.ErrUnsupported

func inNamespace(string, func() error) error { return errors.ErrUnsupported }

func lockFile(*os.File, bool) error { return errors.ErrUnsupported }

func startInGroup(*exec.Cmd, *os.File) {}

func wake(*os.Process) {}

func kill(int) error { return errors.ErrUnsupported }
