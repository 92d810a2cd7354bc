package cli

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain keeps the person's own SSH settings, agent, terminal preferences and repositories out of the tests.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "seatrial-home-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, name := range []string{"SSH_AUTH_SOCK", "NO_COLOR"} {
		_ = os.Unsetenv(name)
	}
	_ = os.Setenv("HOME", home)
	_ = os.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir()) // a repository around it names no release
	code := m.Run()
	_ = os.RemoveAll(home)
	if code == 0 && wholeRun() && untested() {
		code = 1
	}
	os.Exit(code)
}

// wholeRun: nobody asked for some of the tests only.
func wholeRun() bool {
	for _, name := range []string{"run", "skip", "list", "bench", "fuzz"} {
		if flag.Lookup("test."+name).Value.String() != "" {
			return false
		}
	}
	return true
}

// untested: a type or field of the JSON contract has occurred in no script.
func untested() bool {
	c, err := theContract()
	return err != nil || c.untested(os.Stderr)
}

// TestScript plays testdata/script: each file is a story of commands against embedded hosts, and of what must and must not
// be on these hosts afterwards. What a script does not bring (inventory.toml, units) comes from testdata/common.
//
//	seatrial ARG...              runs the program in this process; `!` wants an exit code other than 0
//	code N                       the exit code was N
//	release NAME                 the release that was reported, as a variable
//	json-lines                   the output was the events of a whole run
//	setup [OPTION...] [HOST...]  starts embedded hosts, see hosts_test.go
//
// Whatever is printed with --json is held against the JSON schema.
//
// SEATRIAL_UPDATE=1 rewrites the expectations of `cmp stdout` and `cmp stderr`.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		Setup:              setupScript,
		RequireUniqueNames: true,
		UpdateScripts:      os.Getenv("SEATRIAL_UPDATE") != "",
		Cmds:               scriptCommands(),
	})
}

type scriptCommand = func(ts *testscript.TestScript, neg bool, args []string)

func scriptCommands() map[string]scriptCommand {
	all := map[string]scriptCommand{
		"seatrial":   func(ts *testscript.TestScript, neg bool, args []string) { storyOf(ts).seatrial(ts, neg, args) },
		"code":       func(ts *testscript.TestScript, neg bool, args []string) { storyOf(ts).wantCode(ts, neg, args) },
		"json-lines": func(ts *testscript.TestScript, _ bool, _ []string) { storyOf(ts).jsonLines(ts) },
		"release":    func(ts *testscript.TestScript, _ bool, args []string) { storyOf(ts).release(ts, args) },
		"replace":    replace,
	}
	for name, command := range hostCommands() {
		all[name] = command
	}
	return all
}

// story is what one script has going.
type story struct {
	fleet
	work   string
	code   int
	stdout string // as it was printed
}

type storyKey struct{}

func storyOf(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

func setupScript(env *testscript.Env) error {
	s := &story{work: env.WorkDir}
	env.Values[storyKey{}] = s
	env.Defer(s.close)
	common, err := filepath.Glob(filepath.Join("testdata", "common", "*"))
	for _, from := range common {
		to := filepath.Join(env.WorkDir, filepath.Base(from))
		if _, err := os.Stat(to); err == nil {
			continue
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			return err
		}
	}
	if err == nil {
		err = s.writeKey()
	}
	return err
}

// seatrial runs the program as if in the script's directory: scripts run side by side, so none may change the process's.
func (s *story) seatrial(ts *testscript.TestScript, neg bool, args []string) {
	words := []string{"seatrial"}
	readsInventory := args0(args) != "completion" && slices.ContainsFunc(args, func(a string) bool {
		return strings.Contains(" plan deploy rollback restart check status logs trust inventory rehearse history unlock ", " "+a+" ")
	})
	if given := slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--inventory") }); readsInventory && !given {
		words = append(words, "--inventory="+filepath.Join(s.work, "inventory.toml"))
	}
	for _, a := range args {
		for _, flag := range []string{"--inventory=", "--plan=", "--out="} {
			if name, ok := strings.CutPrefix(a, flag); ok {
				a = flag + ts.MkAbs(name)
			}
		}
		if strings.HasSuffix(a, ".plan") && !strings.HasPrefix(a, "-") {
			a = ts.MkAbs(a)
		}
		words = append(words, a)
	}
	s.absent(ts)
	var out, errs bytes.Buffer
	s.code = Main(words, strings.NewReader(""), &out, &errs)
	s.stdout = out.String()
	_, _ = io.WriteString(ts.Stdout(), s.stable(out.String()))
	_, _ = io.WriteString(ts.Stderr(), s.stable(errs.String()))
	if failed := s.code != 0; failed != neg {
		ts.Fatalf("exit code %d", s.code)
	}
	if slices.Contains(args, "--json") {
		if fault := contractFault(s.stdout, s.code, args[0] == "show"); fault != "" {
			ts.Fatalf("--json: %s", fault)
		}
	}
}

func (s *story) jsonLines(ts *testscript.TestScript) {
	if !strings.Contains(s.stdout, `{"type":"run.started"`) || !strings.Contains(s.stdout, `{"type":"run.finished"`) {
		ts.Fatalf("no events of a whole run")
	}
}

// What differs from run to run, and what is shown instead.
var unstable = []struct {
	pattern *regexp.Regexp
	shown   string
}{
	{regexp.MustCompile(`\b\d{8}T\d{6}Z-`), "TIME-"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d{4})`), "TIME"},
	{regexp.MustCompile(`\b\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`), "TIME"},
	{regexp.MustCompile(`TIME \.\. TIME`), "TIME"}, // whether hosts started in the same second
	{regexp.MustCompile(`\bsince \d{10}\b`), "since TIME"},
	{regexp.MustCompile(`, restarted \d+ times`), ""},
	{regexp.MustCompile(`\bpid \d+`), "pid N"},
	{regexp.MustCompile(`main process \d+`), "main process N"},
	{regexp.MustCompile(`\[\d{3,}\]: `), "[N]: "},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "INVOCATION"},
	{regexp.MustCompile(`\[127\.0\.0\.1\]:\d+`), "[HOST]:PORT"},
	{regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`), "SHA256:KEY"},
	{regexp.MustCompile(`locked by \S+ \(pid N\)`), "locked by OWNER (pid N)"},
}

func (s *story) stable(text string) string {
	text = strings.ReplaceAll(text, s.work+string(filepath.Separator), "")
	text = strings.ReplaceAll(text, s.work, "$WORK")
	for _, h := range s.hosts {
		text = strings.ReplaceAll(text, h.Addr(), "ADDRESS("+h.Name()+")")
	}
	for _, t := range s.traps {
		text = strings.ReplaceAll(text, t.listener.Addr().String(), "ADDRESS("+t.name+")")
	}
	for _, u := range unstable {
		text = u.pattern.ReplaceAllString(text, u.shown)
	}
	return text
}

func (s *story) wantCode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || (args[0] == fmt.Sprint(s.code)) == neg {
		ts.Fatalf("exit code %d", s.code)
	}
}

// replace FILE OLD NEW changes a file of the script.
func replace(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	args[2] = strings.ReplaceAll(args[2], `${nl}`, "\n")
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o600))
}

// release NAME sets the variable to the release that the last command reported.
func (s *story) release(ts *testscript.TestScript, args []string) {
	id := regexp.MustCompile(`\b\d{8}T\d{6}Z-[0-9a-f]{8}\b`).FindString(s.stdout)
	if id == "" || len(args) != 1 {
		ts.Fatalf("no release in the output, or no name for it")
	}
	ts.Setenv(args[0], id)
}

func args0(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
