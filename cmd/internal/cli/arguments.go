package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// interspersed puts flags before arguments, wherever they were written: the flag package stops at the first argument, and
// `deploy production --dry-run` would deploy. What follows `--` is arguments. It fails on a flag that no command knows.
func interspersed(app *cli.App, args []string) ([]string, error) {
	command, rest := splitCommand(args)
	if command == "" {
		return append([]string{app.Name}, rest...), nil
	}
	words := []string{app.Name, command}
	c := app.Command(command)
	if c == nil {
		return []string{app.Name, "--", command}, nil
	}
	flags, arguments, err := sortFlags(c, rest)
	if err != nil {
		return nil, err
	}
	words = append(words, flags...)
	return append(append(words, "--"), arguments...), nil
}

// splitCommand finds the command's name: the first word that is not a flag. Flags before it are the command's.
func splitCommand(args []string) (string, []string) {
	for i := 1; i < len(args); i++ {
		if args[i] == "--" {
			break
		}
		if !strings.HasPrefix(args[i], "-") {
			rest := append([]string{}, args[1:i]...)
			return args[i], append(rest, args[i+1:]...)
		}
	}
	return "", args[min(1, len(args)):]
}

func sortFlags(c *cli.Command, args []string) (flags, arguments []string, err error) {
	takesValue := valueFlags(c)
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" {
			return flags, append(arguments, args[i+1:]...), nil
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			arguments = append(arguments, word)
			continue
		}
		name, _, inline := strings.Cut(strings.TrimLeft(word, "-"), "=")
		value, known := takesValue[name]
		if !known {
			return nil, nil, &usageError{fmt.Sprintf("%s has no flag %s", c.Name, word), "seatrial " + c.Name + " --help"}
		}
		flags = append(flags, word)
		if value && !inline {
			if i+1 == len(args) {
				return nil, nil, &usageError{fmt.Sprintf("flag %s wants a value", word), "seatrial " + c.Name + " --help"}
			}
			i++
			flags[len(flags)-1] = word + "=" + args[i]
		}
	}
	return flags, arguments, nil
}

// valueFlags maps every name of the command's flags to whether it takes a value.
func valueFlags(c *cli.Command) map[string]bool {
	names := map[string]bool{"help": false, "h": false}
	for _, f := range c.Flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, n := range f.Names() {
			names[n] = !isBool
		}
	}
	return names
}
