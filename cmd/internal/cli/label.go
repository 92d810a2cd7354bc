package cli

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

func releaseFlag() cli.Flag {
	return &cli.StringFlag{Name: "release", Usage: "call the release `LABEL`, one word", DefaultText: "git describe"}
}

// A label is one word on hosts, in tables and on command lines.
var (
	label        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+/@:-]{0,79}$`)
	notLabel     = regexp.MustCompile(`[^A-Za-z0-9._+/@:-]+`)
	labelTimeout = 5 * time.Second
)

// labelOf is what people call the release: --release, or what git says of the inventory's directory; else nothing.
func labelOf(c *cli.Context, dir string) (string, error) {
	if !c.IsSet("release") {
		return described(c.Context, dir), nil
	}
	word := c.String("release")
	if !label.MatchString(word) {
		return "", &usageError{"--release wants one word of letters, digits and . _ + / @ : -, at most 80, starting with a letter or digit", "--release v1.4.2"}
	}
	return word, nil
}

// described is git's name of the commit; -dirty marks files that are not committed.
func described(ctx context.Context, dir string) string {
	ctx, cancel := context.WithTimeout(ctx, labelTimeout)
	defer cancel()
	git := exec.CommandContext(ctx, "git", "-C", dir, "describe", "--tags", "--always", "--dirty")
	git.Env = append(slices.DeleteFunc(os.Environ(), anotherRepository), "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0")
	git.WaitDelay = time.Second
	out, err := git.Output()
	if err != nil {
		return "" // no git, or no repository
	}
	word := strings.Trim(notLabel.ReplaceAllString(strings.TrimSpace(string(out)), "-"), "._+/@:-")
	return word[:min(len(word), 80)]
}

// anotherRepository is in the environment of git's hooks: it would be described wherever the inventory is.
func anotherRepository(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE"}, name)
}
