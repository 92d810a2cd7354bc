package plans

import "time"

// EventType names what happened. The list is closed, and public: scripts read it.
type EventType string

// The event types, in the order in which a run may send them.
const (
	RunStarted   EventType = "run.started"
	HostStarted  EventType = "host.started"
	StepStarted  EventType = "step.started"
	StepOutput   EventType = "step.output"
	StepFinished EventType = "step.finished"
	WaveStarted  EventType = "wave.started"
	WaveFinished EventType = "wave.finished"
	HostFinished EventType = "host.finished"
	RunFinished  EventType = "run.finished"
)

// Event is one thing that happened. Fields that do not belong to its type are empty. The JSON names are public.
type Event struct {
	Type        EventType    `json:"type"`
	Time        time.Time    `json:"time"`
	Run         string       `json:"run"`
	Plan        string       `json:"plan,omitempty"`        // run.started
	Environment string       `json:"environment,omitempty"` // run.started
	Saved       string       `json:"saved,omitempty"`       // run.started: digest of the saved plan that is applied
	Host        string       `json:"host,omitempty"`
	Service     string       `json:"service,omitempty"`
	Step        string       `json:"step,omitempty"`
	Status      Status       `json:"status,omitempty"`  // step.finished
	Kind        OutputKind   `json:"kind,omitempty"`    // step.output
	Check       string       `json:"check,omitempty"`   // step.output of a check: its name
	Unit        string       `json:"unit,omitempty"`    // step.output of a journal
	Text        string       `json:"text,omitempty"`    // step.output; why, for step.finished, host.finished, run.finished
	Hint        string       `json:"hint,omitempty"`    // what to do next
	Wave        int          `json:"wave,omitempty"`    // from 1
	Members     []string     `json:"members,omitzero"`  // wave.started, run.started: host names
	Outcome     Outcome      `json:"outcome,omitempty"` // host.finished, run.finished (the worst)
	Release     string       `json:"release,omitempty"`
	Label       string       `json:"label,omitempty"`     // host.finished: what people call the release
	ExitCode    *int         `json:"exit_code,omitempty"` // run.finished
	Hosts       []HostResult `json:"hosts,omitzero"`      // run.finished
}

// HostResult is how one service on one host ended.
type HostResult struct {
	Host    string  `json:"host"`
	Service string  `json:"service"`
	Outcome Outcome `json:"outcome,omitempty"` // empty when the run only looked
	Release string  `json:"release,omitempty"` // what runs there now, when it is known
	Label   string  `json:"label,omitempty"`   // what people call it
	Step    string  `json:"step,omitempty"`    // where it failed
	Text    string  `json:"text,omitempty"`    // why
	Hint    string  `json:"hint,omitempty"`    // what to do next
}

// Status of a finished step.
type Status string

// The statuses of a step.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped" // not begun, because one before it failed
	Nothing Status = "nothing" // there was nothing to do
)

// OutputKind says what a line of output is.
type OutputKind string

// The kinds of output.
const (
	Changed      OutputKind = "changed"  // something the step did
	Lint         OutputKind = "lint"     // what systemd-analyze said
	Progress     OutputKind = "progress" // how far it is
	CheckOK      OutputKind = "check"    // a check passed
	CheckBad     OutputKind = "check-failed"
	CheckHmm     OutputKind = "check-warning"
	JournalLines OutputKind = "journal" // the unit's journal, of the start that failed
	Note         OutputKind = "note"
)

// Outcome of a run on one host.
type Outcome string

// The outcomes.
const (
	Deployed       Outcome = "deployed"
	Unchanged      Outcome = "unchanged"       // the files were there already; restarted, settled and verified
	SkippedHost    Outcome = "skipped"         // not touched, because of another host
	Unreachable    Outcome = "unreachable"     //
	Refused        Outcome = "refused"         // cannot be deployed to, or is locked
	FailedHost     Outcome = "failed"          // before anything was changed
	RolledBack     Outcome = "rolled-back"     // failed, and the old release runs
	RollbackFailed Outcome = "rollback-failed" // a person must look
	UnknownOutcome Outcome = "unknown"         // connection lost, and no word from the host since
)

// Exit codes of the program.
const (
	ExitOK          = 0
	ExitUsage       = 1 // usage, inventory or internal error; nothing changed
	ExitChanges     = 2 // plan --detailed-exitcode: changes pending
	ExitFailed      = 3 // failed; every touched host is back and healthy
	ExitRefused     = 4 // refused or unreachable; nothing changed there
	ExitLocked      = 5
	ExitLook        = 6 // a person must look
	ExitInterrupted = 130
)

// exitCode of one host's outcome.
func (o Outcome) exitCode() int {
	switch o {
	case Unreachable, Refused:
		return ExitRefused
	case FailedHost, RolledBack:
		return ExitFailed
	case RollbackFailed, UnknownOutcome:
		return ExitLook
	}
	return ExitOK
}

// worse gives the one of two outcomes that says more about a run.
func worse(a, b Outcome) Outcome {
	for _, o := range []Outcome{UnknownOutcome, RollbackFailed, RolledBack, FailedHost, Refused, Unreachable, SkippedHost, Deployed} {
		if a == o || b == o {
			return o
		}
	}
	return a
}

// severity orders exit codes: 6 > 3 > 5 > 4 > 1 > 0.
func severity(code int) int {
	for i, c := range []int{ExitOK, ExitUsage, ExitRefused, ExitLocked, ExitFailed, ExitLook} {
		if c == code {
			return i
		}
	}
	return 0
}

// WorseExit gives the one of two exit codes that matters more.
func WorseExit(a, b int) int {
	if severity(b) > severity(a) {
		return b
	}
	return a
}
