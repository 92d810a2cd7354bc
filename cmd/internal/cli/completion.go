package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/inventory"
)

const bashCompletion = `# seatrial completion for bash; use: source <(seatrial completion bash)
_seatrial() {
    local words
    words=$(seatrial completion words "${COMP_WORDS[1]}" 2>/dev/null) || return
    [ "$COMP_CWORD" -gt 1 ] || words=$(seatrial completion words 2>/dev/null)
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _seatrial seatrial
`

const zshCompletion = `#compdef seatrial
# seatrial completion for zsh; use: source <(seatrial completion zsh)
_seatrial() {
    if (( CURRENT == 2 )); then compadd -- ${(f)"$(seatrial completion words 2>/dev/null)"}
    else compadd -- ${(f)"$(seatrial completion words "$words[2]" 2>/dev/null)"}; fi
}
compdef _seatrial seatrial
`

const fishCompletion = `# seatrial completion for fish; use: seatrial completion fish | source
complete -c seatrial -f -n __fish_use_subcommand -a '(seatrial completion words 2>/dev/null)'
complete -c seatrial -f -n 'not __fish_use_subcommand' -a '(seatrial completion words (commandline -opc)[2] 2>/dev/null)'
`

func (p *program) completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell",
		ArgsUsage: "bash|zsh|fish",
		UsageText: "seatrial completion bash|zsh|fish\n\nsource <(seatrial completion bash)",
		Action:    p.completion,
	}
}

func (p *program) completion(c *cli.Context) error {
	switch c.Args().First() {
	case "bash":
		_, _ = fmt.Fprint(p.out, bashCompletion)
	case "zsh":
		_, _ = fmt.Fprint(p.out, zshCompletion)
	case "fish":
		_, _ = fmt.Fprint(p.out, fishCompletion)
	case "words": // what the scripts ask for
		_, _ = fmt.Fprintln(p.out, strings.Join(completionWords(c.App, c.Args().Get(1)), "\n"))
	default:
		return &usageError{"completion wants the name of a shell: bash, zsh or fish", "source <(seatrial completion bash)"}
	}
	return nil
}

// completionWords are the commands, or a command's flags and the environments.
func completionWords(app *cli.App, command string) []string {
	if command == "" {
		return commandNames(app)
	}
	var words []string
	if inv, err := inventory.Read("inventory.toml"); err == nil {
		for _, e := range inv.Environments {
			words = append(words, e.Name)
		}
	}
	if c := app.Command(command); c != nil {
		for _, f := range c.Flags {
			words = append(words, "--"+f.Names()[0])
		}
	}
	return words
}
