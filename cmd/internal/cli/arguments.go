package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/inventory"
)

// interspersed puts flags before arguments, wherever they were written: the flag package stops at the first argument, and
// `deploy production --dry-run` would deploy. What follows `--` is arguments. It fails on a flag that the command does not
// know, on one that is given twice, and on a value that is none.
func interspersed(app *cli.App, args []string) ([]string, error) {
	command, rest := splitCommand(app, args)
	if command == "help" {
		command, rest = "", []string{"--help"}
		if i := slices.IndexFunc(args, func(a string) bool { return app.Command(a) != nil }); i > 0 {
			command = args[i]
		}
	}
	switch {
	case command == "" && (len(rest) == 0 || wantsHelp(rest)):
		return []string{app.Name}, nil
	case command == "":
		return nil, &usageError{"no command in: " + strings.Join(rest, " "), "seatrial --help"}
	case app.Command(command) == nil:
		return []string{app.Name, "--", command}, nil
	}
	flags, arguments, err := sortFlags(app.Command(command), rest)
	if err != nil {
		return nil, err
	}
	if wantsHelp(flags) {
		return []string{app.Name, command, "--help"}, nil
	}
	words := append([]string{app.Name, command}, flags...)
	return append(append(words, "--"), arguments...), nil
}

// wantsHelp, whatever else is said: the library would look for help on the argument.
func wantsHelp(flags []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool {
		name := strings.TrimLeft(f, "-")
		return name != f && (name == "help" || name == "h")
	})
}

// splitCommand finds the command's name: the first word that is neither a flag nor a flag's value. Flags before it are the
// command's.
func splitCommand(app *cli.App, args []string) (string, []string) {
	takesValue := map[string]bool{}
	for _, c := range app.Commands {
		for name, f := range flagsByName(c) {
			takesValue[name] = takesValue[name] || !isBool(f)
		}
	}
	for i := 1; i < len(args); i++ {
		switch word := args[i]; {
		case word == "--":
			return "", args[1:]
		case !strings.HasPrefix(word, "-"):
			rest := append([]string{}, args[1:i]...)
			return word, append(rest, args[i+1:]...)
		case takesValue[strings.TrimLeft(word, "-")]:
			i++
		}
	}
	return "", args[min(1, len(args)):]
}

func sortFlags(c *cli.Command, args []string) (flags, arguments []string, err error) {
	known, seen := flagsByName(c), map[cli.Flag]bool{}
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" {
			return flags, append(arguments, args[i+1:]...), nil
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			arguments = append(arguments, word)
			continue
		}
		name, value, inline := strings.Cut(strings.TrimLeft(word, "-"), "=")
		f := known[name]
		switch {
		case f == nil:
			return nil, nil, unknownFlag(c, word)
		case !isBool(f) && !inline && i+1 == len(args):
			return nil, nil, &usageError{fmt.Sprintf("flag %s wants a value", word), helpOf(c)}
		case !isBool(f) && !inline:
			i++
			value, inline = args[i], true
			word += "=" + value
		}
		if fault := flagFault(f, value, inline, seen[f]); fault != "" {
			return nil, nil, &usageError{fmt.Sprintf("flag %s %s", strings.SplitN(word, "=", 2)[0], fault), helpOf(c)}
		}
		seen[f] = true
		flags = append(flags, word)
	}
	return flags, arguments, nil
}

// flagFault says what is wrong with a flag's value.
func flagFault(f cli.Flag, value string, given, again bool) string {
	switch f.(type) {
	case *cli.StringSliceFlag:
		return ""
	case *cli.IntFlag:
		if _, err := strconv.Atoi(value); err != nil {
			return fmt.Sprintf("wants a number, not %q", value)
		}
	case *cli.BoolFlag:
		if _, err := strconv.ParseBool(value); given && err != nil {
			return fmt.Sprintf("is set or not, it is not %q", value)
		}
	}
	if again {
		return "is given twice"
	}
	return ""
}

func unknownFlag(c *cli.Command, word string) error {
	name := strings.TrimLeft(strings.SplitN(word, "=", 2)[0], "-")
	var known []string
	for _, f := range c.Flags {
		known = append(known, f.Names()[0])
	}
	hint, _, _ := strings.Cut((&inventory.UnknownError{What: "flag", Name: name, Known: known}).Hint(), ";")
	if !strings.HasPrefix(hint, "did you mean") {
		hint = helpOf(c)
	}
	return &usageError{fmt.Sprintf("%s has no flag %s", c.Name, word), strings.Replace(hint, `"`, `"--`, 1)}
}

func helpOf(c *cli.Command) string { return "seatrial " + c.Name + " --help" }

func flagsByName(c *cli.Command) map[string]cli.Flag {
	names := map[string]cli.Flag{}
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			names[n] = f
		}
	}
	return names
}

func isBool(f cli.Flag) bool {
	_, ok := f.(*cli.BoolFlag)
	return ok
}
