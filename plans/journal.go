package plans

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// A Journal is what this machine remembers of one run: a file of JSON lines that is only appended to. The events are in
// it, and what a later `resume` needs to take the run up: which hosts, with which tokens, and which commits were decided.
// Decisions are on the disk before they are carried out.
type Journal struct {
	file *os.File
	sync func() error // puts what was written on the disk: of file
	err  error        // the first one of writing
}

// journalRecord is a line of the journal that is no event.
type journalRecord struct {
	Record  string        `json:"record"` // run, commit
	Version int           `json:"version,omitempty"`
	Run     *JournalRun   `json:"of,omitempty"`
	Lanes   []JournalLane `json:"lanes,omitempty"` // run: all; commit: those that are decided
}

const journalVersion = 1

// JournalRun is a run as its journal knows it.
type JournalRun struct {
	ID          string        `json:"id"`
	Plan        string        `json:"plan"`
	Environment string        `json:"environment"`
	Inventory   string        `json:"inventory"` // absolute path
	Owner       string        `json:"owner"`
	Started     time.Time     `json:"started"`
	Lanes       []JournalLane `json:"-"`
	Decided     []JournalLane `json:"-"` // commits that were decided
	Events      []Event       `json:"-"`
}

// JournalLane is one service on one host.
type JournalLane struct {
	Host    string `json:"host"`
	Service string `json:"service"`
	Token   string `json:"token"`
	Release string `json:"release"`
}

// Finished is the run's last event; nil when the run died, or still lives.
func (r JournalRun) Finished() *Event {
	if n := len(r.Events); n > 0 && r.Events[n-1].Type == RunFinished {
		return &r.Events[n-1]
	}
	return nil
}

// Unsettled are the lanes of which nobody has heard how they ended: all of a run that died, or still lives; those whose
// hosts were away when it ended. It is what `resume` is for.
func (r JournalRun) Unsettled() []JournalLane {
	end := r.Finished()
	if end == nil {
		return r.Lanes
	}
	var away []JournalLane
	for _, l := range r.Lanes {
		for _, h := range end.Hosts {
			if h.Host == l.Host && h.Service == l.Service && (h.Outcome == Unreachable || h.Outcome == UnknownOutcome) {
				away = append(away, l)
			}
		}
	}
	return away
}

// CreateJournal begins the journal of a run in a directory, which is made when it is not there. The file stays locked
// while the run lives, so that nobody resumes a run that is under way.
func CreateJournal(dir string, run JournalRun) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("run journal: %w", err)
	}
	j, err := openJournal(filepath.Join(dir, run.ID+".jsonl"), os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if err := j.record(journalRecord{Record: "run", Version: journalVersion, Run: &run, Lanes: run.Lanes}); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	syncDirectory(dir)
	return j, nil
}

// syncDirectory puts a new file's name on the disk, where file systems do not do so with its content.
func syncDirectory(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync() // not everywhere can directories be synced
		_ = d.Close()
	}
}

// ErrRunLives is that a run cannot be resumed because its process is still at work.
var ErrRunLives = errors.New("the run is still under way")

// ReopenJournal appends to the journal of a run that died.
func ReopenJournal(dir, id string) (*Journal, error) {
	j, err := openJournal(journalPath(dir, id), 0)
	if err != nil {
		return nil, err
	}
	_, err = j.file.WriteString("\n") // ends a line that was torn
	return j, err
}

func openJournal(path string, flags int) (*Journal, error) {
	file, err := os.OpenFile(path, flags|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("run journal: %w", err)
	}
	if !lockFile(file) {
		return nil, errors.Join(fmt.Errorf("run journal %s: %w", path, ErrRunLives), file.Close())
	}
	return &Journal{file: file, sync: file.Sync}, nil
}

// Event appends an event. Errors are kept for the next decision, which needs the journal.
func (j *Journal) Event(e Event) {
	if j == nil {
		return
	}
	if err := json.NewEncoder(j.file).Encode(e); err != nil && j.err == nil {
		j.err = err
	}
}

// decide puts it on the disk that these lanes are to be committed.
func (j *Journal) decide(lanes []JournalLane) error {
	if j == nil {
		return nil
	}
	return j.record(journalRecord{Record: "commit", Lanes: lanes})
}

func (j *Journal) record(r journalRecord) error {
	err := json.NewEncoder(j.file).Encode(r)
	if err == nil {
		err = j.sync()
	}
	if err = errors.Join(j.err, err); err != nil {
		return fmt.Errorf("run journal %s: %w", j.file.Name(), err)
	}
	return nil
}

// Close ends the journal.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// JournalDir is where runs are remembered: below $XDG_STATE_HOME, or ~/.local/state.
func JournalDir(home, stateHome string) string {
	if !filepath.IsAbs(stateHome) {
		stateHome = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(stateHome, "seatrial", "runs")
}

func journalPath(dir, id string) string { return filepath.Join(dir, filepath.Base(id)+".jsonl") }

// Runs are the ids of the runs in a journal directory, oldest first.
func Runs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("run journals: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".jsonl"); ok {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return ids, nil
}

// ReadJournal reads a run. Lines that cannot be read (a torn one, where the machine died) are passed over.
func ReadJournal(dir, id string) (JournalRun, error) {
	text, err := os.ReadFile(journalPath(dir, id))
	if err != nil {
		return JournalRun{}, fmt.Errorf("run journal: %w", err)
	}
	run := JournalRun{ID: id}
	for line := range bytes.Lines(text) {
		if err := run.read(line); err != nil {
			return JournalRun{}, err
		}
	}
	return run, nil
}

func (r *JournalRun) read(line []byte) error {
	var kind struct {
		Record string
		Type   EventType
	}
	if json.Unmarshal(line, &kind) != nil {
		return nil
	}
	switch {
	case kind.Record != "":
		var record journalRecord
		if json.Unmarshal(line, &record) != nil {
			return nil
		}
		return r.take(record)
	case kind.Type != "":
		var e Event
		if json.Unmarshal(line, &e) == nil {
			r.Events = append(r.Events, e)
		}
	}
	return nil
}

func (r *JournalRun) take(record journalRecord) error {
	switch record.Record {
	case "run":
		if record.Version != journalVersion || record.Run == nil {
			return fmt.Errorf("run journal of %s is of version %d, which this seatrial does not know", r.ID, record.Version)
		}
		*r = *record.Run
		r.Lanes = record.Lanes
	case "commit":
		r.Decided = append(r.Decided, record.Lanes...)
	}
	return nil
}
