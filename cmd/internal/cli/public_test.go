package cli

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/remote/sshtest"
)

// TestPublicNames freezes what people's scripts rely on. A name may be added to testdata/public.txt; to take one away or to
// change one breaks somebody's pipeline. SEATRIAL_UPDATE=1 rewrites the file.
func TestPublicNames(t *testing.T) {
	var b strings.Builder
	app := (&program{}).app()
	for _, c := range app.Commands {
		fmt.Fprintf(&b, "command %s: %s\n", c.Name, strings.Join(flagNames(c), " "))
	}
	for _, p := range []plans.Plan{plans.Deploy(), plans.Rollback(), plans.Restart(), plans.Check()} {
		fmt.Fprintf(&b, "plan %s: %s\n", p.Name, strings.Join(stepNames(p), " "))
	}
	fmt.Fprintf(&b, "rehearse --fail: %s\n", strings.Join(sshtest.Faults(), " "))
	for _, kind := range []string{"EventType", "OutputKind", "Outcome", "Status"} {
		fmt.Fprintf(&b, "%s: %s\n", kind, strings.Join(constants(t, kind), " "))
	}
	fmt.Fprintf(&b, "exit codes: %s\n", strings.Join(constants(t, "Exit"), " "))
	golden := filepath.Join("testdata", "public.txt")
	if os.Getenv("SEATRIAL_UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("public names changed (-was +is):\n%s", diff)
	}
}

func flagNames(c *cli.Command) []string {
	var names []string
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			names = append(names, strings.Repeat("-", min(2, len(n)))+n)
		}
	}
	slices.Sort(names)
	return names
}

func stepNames(p plans.Plan) []string {
	var names []string
	for _, phase := range p.Phases {
		for _, s := range phase.Steps {
			names = append(names, s.Name())
		}
	}
	return names
}

// constants reads the values of a type's constants in plans/events.go, or those of the untyped ones that begin with kind:
// so that a new one cannot be forgotten here.
func constants(t *testing.T, kind string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "..", "plans", "events.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		value, ok := spec.Values[0].(*ast.BasicLit)
		name, typed := spec.Type.(*ast.Ident)
		switch {
		case !ok:
		case typed && name.Name == kind:
			values = append(values, strings.Trim(value.Value, `"`))
		case !typed && strings.HasPrefix(spec.Names[0].Name, kind):
			values = append(values, spec.Names[0].Name+"="+value.Value)
		}
		return true
	})
	if len(values) == 0 {
		t.Fatalf("no constants of %s in plans/events.go", kind)
	}
	return values
}

// TestHelp: every command says what it takes, and which exit codes there are; asking for help does nothing else.
func TestHelp(t *testing.T) {
	for _, c := range (&program{}).app().Commands {
		for _, args := range [][]string{{c.Name, "--help"}, {c.Name, "staging", "-h"}, {"help", c.Name}} {
			var out, errs bytes.Buffer
			if code := Main(append([]string{"seatrial"}, args...), strings.NewReader(""), &out, &errs); code != 0 {
				t.Errorf("%v: exit code %d", args, code)
			}
			for _, want := range []string{"seatrial " + c.Name, "EXIT CODES", "--help"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%v: no %q in\n%s", args, want, &out)
				}
			}
			if errs.Len() > 0 {
				t.Errorf("%v: on stderr: %s", args, &errs)
			}
		}
	}
}

// TestExamples: the help of every command has examples, and each is one that the program understands.
func TestExamples(t *testing.T) {
	app := (&program{}).app()
	for _, c := range app.Commands {
		_, text, _ := strings.Cut(c.UsageText, "\n\n")
		own := 0
		for example := range strings.Lines(text) {
			words := exampleWords(example)
			if len(words) < 2 || words[0] != "seatrial" || app.Command(words[1]) == nil {
				t.Errorf("%s: no command of seatrial: %q", c.Name, example)
				continue
			}
			if _, err := interspersed(app, words); err != nil {
				t.Errorf("%s: %q: %v", c.Name, example, err)
			}
			if words[1] == c.Name {
				own++
			}
		}
		if own == 0 {
			t.Errorf("%s: its help has no example of it", c.Name)
		}
		var out bytes.Buffer
		if Main([]string{"seatrial", c.Name, "--help"}, strings.NewReader(""), &out, &out); !strings.Contains(out.String(), strings.SplitN(text, "\n", 2)[0]) {
			t.Errorf("%s: --help does not show its examples:\n%s", c.Name, &out)
		}
	}
}

// exampleWords are the words of a command in a line of help: without what is said of it, and what the shell does with it.
func exampleWords(line string) []string {
	line = regexp.MustCompile(`'[^']*'`).ReplaceAllString(strings.TrimSpace(line), "quoted")
	line = strings.TrimSuffix(strings.TrimPrefix(line, "source <("), ")")
	for _, end := range []string{"  ", " >", " |"} {
		line, _, _ = strings.Cut(line, end)
	}
	return strings.Fields(line)
}
