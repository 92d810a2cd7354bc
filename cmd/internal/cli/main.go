// Package cli is the command line: one file per command, shared options, hints and exit codes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/remote"
)

// Main runs one command and returns its exit code.
func Main(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // as nohup has it
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)
	signal.Ignore(syscall.SIGPIPE) // or a broken pipe would end us between two steps
	unread := make(chan struct{}, 1)
	out, errs = &shared{w: out, unread: unread}, &shared{w: errs, unread: unread}
	p := &program{in: in, out: out, errs: errs}
	done := make(chan int, 1)
	go func() { done <- p.run(ctx, args) }()
	for interrupted := false; ; interrupted = true {
		select {
		case code := <-done:
			return code
		case <-signals:
			if interrupted {
				text, hint := p.watch.farewell()
				ui.Error(errs, text, hint)
				return plans.ExitInterrupted
			}
			p.callOff("interrupted")
			cancel()
		case <-unread:
			if !interrupted {
				p.callOff("nobody reads the output any more")
				cancel()
			}
		}
	}
}

// callOff says what the end of the context will do.
func (p *program) callOff(why string) {
	if p.touching.Load() {
		_, _ = fmt.Fprintf(p.errs, "\n%s: touched hosts are being rolled back; interrupt again to leave at once\n", why)
	}
}

// shared is a stream that the run and the one who waits for it write to. That its reader has gone is told once at most.
type shared struct {
	mu     sync.Mutex
	w      io.Writer
	unread chan<- struct{}
	broken bool
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.w.Write(b)
	if errors.Is(err, syscall.EPIPE) && !s.broken {
		s.broken = true
		select {
		case s.unread <- struct{}{}:
		default:
		}
	}
	return n, err
}

// program is one invocation.
type program struct {
	in        io.Reader
	out, errs io.Writer
	touching  atomic.Bool // a run that may change hosts is under way
	watch     watch
}

// exit is an exit code that has been explained already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is the person's, with the corrected command as a hint.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

func (p *program) run(ctx context.Context, args []string) int {
	app := p.app()
	words, err := interspersed(app, args)
	if err == nil {
		err = app.RunContext(ctx, words)
	}
	return p.explain(err)
}

// explain is the one place where errors become words and exit codes.
func (p *program) explain(err error) int {
	var code exit
	var usage *usageError
	var problems *inventory.ProblemsError
	var unknown *inventory.UnknownError
	var host *remote.Error
	switch {
	case err == nil:
		return plans.ExitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		ui.Error(p.errs, usage.text, usage.hint)
	case errors.As(err, &problems):
		ui.Error(p.errs, err.Error(), "")
	case errors.As(err, &unknown):
		ui.Error(p.errs, err.Error(), unknown.Hint())
	case errors.As(err, &host):
		ui.Error(p.errs, err.Error(), host.Hint)
	default:
		ui.Error(p.errs, err.Error(), "")
	}
	return plans.ExitUsage
}

const exitCodes = `EXIT CODES
   0 done, or nothing to do       4 refused or unreachable, nothing changed there
   1 usage or inventory error     5 locked by another run
   2 changes pending (plan        6 a person must look: rollback failed, or outcome unknown
     --detailed-exitcode only)  130 interrupted, touched hosts rolled back
   3 failed; every touched host is rolled back and healthy
`

func (p *program) app() *cli.App {
	app := &cli.App{
		Name:  "seatrial",
		Usage: "deploy systemd services over SSH: each unit on trial first, rolled back by itself when it fails",
		UsageText: "seatrial COMMAND ENVIRONMENT [options]\n\nseatrial plan staging       what deploy would do; changes nothing\n" +
			"seatrial deploy staging     push, try, settle, verify, commit; or roll back\nseatrial rehearse staging   the same on embedded hosts: nothing leaves this machine",
		HideVersion:     true,
		HideHelp:        true,
		HideHelpCommand: true,
		Flags:           []cli.Flag{helpFlag()},
		Writer:          p.out,
		ErrWriter:       p.errs,
		OnUsageError:    p.onUsageError,
		ExitErrHandler:  func(*cli.Context, error) {},
		CommandNotFound: nil,
		Action:          p.noCommand,
		Commands: []*cli.Command{
			p.planCommand(), p.deployCommand(), p.rollbackCommand(), p.restartCommand(), p.checkCommand(), p.statusCommand(), p.historyCommand(),
			p.logsCommand(), p.resumeCommand(), p.lockCommand(), p.unlockCommand(), p.runsCommand(), p.showCommand(), p.trustCommand(), p.inventoryCommand(), p.rehearseCommand(), p.versionCommand(), p.completionCommand(),
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError = p.onUsageError
		c.HideHelp, c.HideHelpCommand = true, true
		c.Flags = append(c.Flags, helpFlag())
		c.Description = strings.TrimSpace(c.Description + "\n\n" + exitCodes)
	}
	return app
}

func (p *program) onUsageError(c *cli.Context, err error, _ bool) error {
	hint := "seatrial --help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "seatrial" {
		hint = "seatrial " + c.Command.Name + " --help"
	}
	return &usageError{err.Error(), hint}
}

func (p *program) noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return &inventory.UnknownError{What: "command", Name: name, Known: commandNames(c.App)}
	}
	return cli.ShowAppHelp(c)
}

func commandNames(app *cli.App) []string {
	var names []string
	for _, c := range app.Commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}
