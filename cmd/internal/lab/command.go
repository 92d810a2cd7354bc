package lab

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// output runs a command and returns its standard output; the error says what
// was run and what it complained about.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

func command(name string, args ...string) error {
	_, err := output(commandContext(background(), name, args...))
	return err
}

func commandContext(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

// background is the context of what must be finished whatever the test does,
// such as putting the network back or cleaning up.
func background() context.Context { return context.Background() }
