package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// output runs a command and returns its standard output; the error says what
// was run and what it complained about.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Start()
	if err == nil {
		end := keepAwake(cmd.Process)
		err = cmd.Wait()
		end()
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// keepAwake continues a process that has stopped. A host that goes down stops
// all its processes for a moment; nsenter, whose child is one of them, then
// stops itself, and nobody would ever wake it.
func keepAwake(p *os.Process) (end func()) {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Second):
				wake(p)
			}
		}
	}()
	return func() { close(done) }
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
