package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seatrial/seatrial/plans"
)

// TestRuns plays testdata/runs: stories about what this machine remembers of its runs, each with a memory of its own. Beside
// the commands of TestScript there are
//
//	forget-end RUN     the run died before its last event
//	tear RUN           the last line is torn
//	journal RUN FILE   a journal from elsewhere
//	run NAME           the run's id, as a variable
func TestRuns(t *testing.T) {
	files, err := filepath.Glob("testdata/runs/*.txtar")
	if err != nil || files == nil {
		t.Fatal("no scripts", err)
	}
	commands := scriptCommands()
	commands["forget-end"] = func(ts *testscript.TestScript, _ bool, args []string) {
		rewrite(ts, args[0], func(text string) string {
			lines := strings.SplitAfter(text, "\n")
			return strings.Join(lines[:len(lines)-2], "")
		})
	}
	commands["tear"] = func(ts *testscript.TestScript, _ bool, args []string) {
		rewrite(ts, args[0], func(text string) string { return text[:len(text)-20] })
	}
	commands["journal"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(os.WriteFile(journalFile(ts, args[0]), []byte(ts.ReadFile(args[1])), 0o600))
	}
	commands["run"] = func(ts *testscript.TestScript, _ bool, args []string) {
		dir, err := journalDir()
		ts.Check(err)
		ids, err := plans.Runs(dir)
		ts.Check(err)
		if len(ids) == 0 {
			ts.Fatalf("no runs")
		}
		ts.Setenv(args[0], ids[len(ids)-1])
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", t.TempDir())
			testscript.Run(t, testscript.Params{Files: []string{file}, Setup: setupScript, Cmds: commands,
				UpdateScripts: os.Getenv("SEATRIAL_UPDATE") != ""})
		})
	}
}

func journalFile(ts *testscript.TestScript, run string) string {
	dir, err := journalDir()
	ts.Check(err)
	return filepath.Join(dir, run+".jsonl")
}

func rewrite(ts *testscript.TestScript, run string, change func(string) string) {
	text, err := os.ReadFile(journalFile(ts, run))
	ts.Check(err)
	ts.Check(os.WriteFile(journalFile(ts, run), []byte(change(string(text))), 0o600))
}
