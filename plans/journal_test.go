package plans

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/steps"
)

var journaledRun = JournalRun{ID: "20260102T030405Z-0001", Plan: "deploy", Environment: "staging", Inventory: "/srv/inventory.toml",
	Owner: "tester@here", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	Lanes: []JournalLane{{"web-1", "web", "t1", "r"}, {"web-2", "web", "t2", "r"}}}

// newJournal begins one with an event in it; it is still open.
func newJournal(t *testing.T) (*Journal, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "runs")
	j, err := CreateJournal(dir, journaledRun)
	if err != nil {
		t.Fatal(err)
	}
	j.Event(Event{Type: RunStarted, Plan: "deploy"})
	return j, dir
}

func TestJournal(t *testing.T) {
	t.Parallel()
	j, dir := newJournal(t)
	if err := j.decide(journaledRun.Lanes[:1]); err != nil {
		t.Fatal(err)
	}
	run, err := ReadJournal(dir, journaledRun.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := journaledRun
	want.Decided, want.Events = journaledRun.Lanes[:1], []Event{{Type: RunStarted, Plan: "deploy"}}
	if !reflect.DeepEqual(run, want) {
		t.Errorf("got  %+v\nwant %+v", run, want)
	}
	if len(run.Unsettled()) != 2 {
		t.Errorf("unsettled: %v", run.Unsettled())
	}
	code := ExitRefused
	j.Event(Event{Type: RunFinished, ExitCode: &code, Hosts: []HostResult{
		{Host: "web-1", Service: "web", Outcome: Deployed}, {Host: "web-2", Service: "web", Outcome: Unreachable}}})
	if run, _ = ReadJournal(dir, journaledRun.ID); !reflect.DeepEqual(run.Unsettled(), journaledRun.Lanes[1:]) {
		t.Errorf("unsettled: %v", run.Unsettled())
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever the machine died in the middle of, the lines before are read, and those that are appended later.
func TestTornJournal(t *testing.T) {
	t.Parallel()
	for _, torn := range []string{`{"type":"step.fin`, `{"record":"commit","lanes":[{"host":"web-1"`, "\x00\x00\x00", `{"type":7}`,
		`{"record":"commit","lanes":7}`, "null", "[]", `{"type":"step.output","text":"` + strings.Repeat("x", 5<<20)} {
		j, dir := newJournal(t)
		if _, err := j.file.WriteString(torn); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
		again, err := ReopenJournal(dir, journaledRun.ID)
		if err != nil {
			t.Fatal(err)
		}
		again.Event(Event{Type: RunFinished})
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		run, err := ReadJournal(dir, journaledRun.ID)
		if err != nil || len(run.Lanes) != 2 || len(run.Decided) != 0 || len(run.Events) != 2 || run.Finished() == nil {
			t.Errorf("after %.40q: %+v, %v", torn, run, err)
		}
	}
}

// A whole line may be longer than any buffer: hosts may say much.
func TestLongLineOfAJournal(t *testing.T) {
	t.Parallel()
	j, dir := newJournal(t)
	j.Event(Event{Type: StepOutput, Text: strings.Repeat("\x01", 1<<20)})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if run, err := ReadJournal(dir, journaledRun.ID); err != nil || len(run.Events) != 2 {
		t.Errorf("%d events, %v", len(run.Events), err)
	}
}

func TestJournalOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.jsonl"), []byte(`{"record":"run","version":2,"of":{"id":"x"}}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadJournal(dir, "x"); err == nil || !strings.Contains(err.Error(), "version 2, which this seatrial does not know") {
		t.Error(err)
	}
	if _, err := ReadJournal(dir, "../x"); err == nil {
		t.Error("no error of a run that is not there") // and nothing outside of the directory is read
	}
	if ids, err := Runs(filepath.Join(dir, "none")); ids != nil || err != nil {
		t.Error(ids, err)
	}
}

func TestJournalOfALivingRun(t *testing.T) {
	t.Parallel()
	j, dir := newJournal(t)
	if _, err := ReopenJournal(dir, journaledRun.ID); !errors.Is(err, ErrRunLives) {
		t.Errorf("reopened while the run lives: %v", err)
	}
	if _, err := CreateJournal(dir, journaledRun); !errors.Is(err, os.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	_ = j.Close()
	again, err := ReopenJournal(dir, journaledRun.ID)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

// What could not be written before keeps a decision from being taken.
func TestJournalThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	j, _ := newJournal(t)
	_ = j.file.Close()
	j.Event(Event{Type: StepStarted})
	if err := j.decide(journaledRun.Lanes); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte(`{"record":"run","version":1,"of":{"id":"x","plan":"deploy"},"lanes":[{"host":"web-1","service":"web","token":"t"}]}` + "\n" +
		`{"type":"run.started"}` + "\n" + `{"record":"commit","lanes":[{"token":"t"}]}` + "\n" +
		`{"type":"run.finished","hosts":[{"host":"web-1","service":"web","outcome":"unknown"}]}` + "\n"))
	f.Add([]byte(`{"record":"run","version":2}`))
	f.Add([]byte("{\"record\":\"run\",\"version\":1}\n\x00\n{\"type\":"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x.jsonl"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		run, err := ReadJournal(dir, "x")
		if err != nil {
			return
		}
		for _, l := range run.Unsettled() {
			decided(run, &lane{tx: steps.Transaction{Token: l.Token}})
		}
		// a torn line more changes nothing
		if err := os.WriteFile(filepath.Join(dir, "y.jsonl"), append(text, "\n{\"type\":\"run.fin"...), 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := ReadJournal(dir, "y")
		if again.ID == "y" {
			again.ID = "x"
		}
		if err != nil || !reflect.DeepEqual(run, again) {
			t.Errorf("%+v, %v\n%+v", again, err, run)
		}
	})
}
