// Package steps holds what can be done to one service on one host: one file per step, its Go face beside the
// POSIX script that does it on the host. A step never prints, knows nothing of other hosts and never decides to
// roll back; package plans puts steps in order and decides.
package steps

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatrial/seatrial/remote"
)

// Effect says whether a step may change a host.
type Effect string

// The two effects.
const (
	Reads  Effect = "reads"
	Writes Effect = "writes"
)

// A Step is one thing that a plan does on each host.
type Step interface {
	// Name is the step's public name: in output, JSON, --fail and the README. It never changes.
	Name() string
	Effect() Effect
	// Preview says what the step would do, from the host's facts alone. Pure.
	Preview(Transaction) []Line
	// Requests is what the host is asked, in order; none means that there is nothing to do. Pure.
	Requests(Transaction) []remote.Request
}

// A Line of a preview: what the step will do on the host, or find already so.
type Line struct {
	Step    string `json:"step"`
	Text    string `json:"text"`
	Detail  string `json:"detail,omitempty"` // what differs from host to host also where they are alike: processes, times
	Changes bool   `json:"changes"`
}

// change is a line about something that the step changes on the host.
func change(s Step, format string, args ...any) Line {
	return Line{Step: s.Name(), Text: fmt.Sprintf(format, args...), Changes: true}
}

// same is a line about something that it finds, or only looks at.
func same(s Step, format string, args ...any) Line {
	return Line{Step: s.Name(), Text: fmt.Sprintf(format, args...)}
}

// A Transaction is one service's way from one release to another on one host.
type Transaction struct {
	Service  Service
	Facts    Facts
	Token    string // names the run on the host: only its owner may go on
	Owner    string // who runs this, from where: shown to whoever finds the lease taken
	Since    string // when the run began, RFC 3339
	Release  string // id of what is deployed
	Label    string // what people call the release, one word; may be empty
	Plan     string // digest of the saved plan that is applied; empty: none
	Last     Past   // the release that was committed last on this host; zero: none
	Current  string // id of the release that is there now; empty when it is none that the host knows
	Previous string // id under which what is there now is kept, when it is no release of ours; else empty
	Lease    time.Duration
}

// A Service as the steps see it.
type Service struct {
	Name         string
	Files        []File // units first, then companions
	Runs         []Run
	Log          *Directory
	Checks       []Check
	RefuseDrift  bool // a host that differs from what was last committed there is refused
	StartTimeout time.Duration
	Window       time.Duration // of settle
	Verify       Verification
}

// File is the service's file of that path; zero when it has none.
func (s Service) File(path string) File {
	for _, f := range s.Files {
		if f.Path == path {
			return f
		}
	}
	return File{}
}

// UnitDirectory is where committed units live.
const UnitDirectory = "/etc/systemd/system"

// A File of a release: a unit or a companion, and its place on the host.
type File struct {
	Path       string
	Content    []byte
	Digest     string // SHA-256, hex; "none": the file is to be absent
	Attributes        // zero: root's, mode 644
}

// Unit reports whether the file is a systemd unit, and so part of the trial.
func (f File) Unit() bool { return strings.HasPrefix(f.Path, UnitDirectory+"/") }

// A Run is a unit that is started and watched: the file's own, or an instance of a template.
type Run struct{ Unit, File string }

// A Directory with its owner.
type Directory struct{ Path, Owner, Group, Mode string }

// A Check of the host, done before anything is changed. Kind is directory, file, executable or command.
type Check struct {
	Name             string
	Warning          bool // a failure is reported and does not stop the run
	Kind             string
	Words            []string // the path, or the command's arguments
	User             string
	WorkingDirectory string
	Environment      []string // NAME=value
	Timeout          time.Duration
}

// A Verification of what runs once it has settled.
type Verification struct {
	Listen  []string // IP:PORT or :PORT
	HTTP    []HTTP
	Timeout time.Duration
}

// HTTP is one request that must be answered as said. It is asked from the host's side of the connection.
type HTTP struct {
	URL      string
	Status   int
	Contains string
}

//go:embed *.sh
var scripts embed.FS

// Program is the host's side of all steps: one POSIX sh program, lib.sh first. remote.Conn.Helper takes it.
func Program() string {
	var b strings.Builder
	b.WriteString(script("lib.sh"))
	entries, _ := scripts.ReadDir(".")
	for _, e := range entries {
		if e.Name() != "lib.sh" {
			b.WriteString(script(e.Name()))
		}
	}
	return b.String()
}

func script(name string) string {
	b, err := scripts.ReadFile(name)
	if err != nil {
		panic(err) // embedded above
	}
	return string(b) + "\n"
}

// Status codes that the scripts answer with; lib.sh lists them.
const (
	StatusUnit      = 10 // the unit, or a check, failed
	StatusUnhealthy = 11 // rolled back, but what is back does not run
	StatusSystemd   = 20 // systemd refused
	StatusLocked    = 75 // another run holds the lease
	StatusFenced    = 76 // another run has taken the host over
	StatusDrift     = 77 // the host is not as the preview saw it
	StatusRefused   = 78 // a precondition does not hold; this step changed nothing
	StatusState     = 79 // the transaction is not in the state for this
)

func (t Transaction) request(step, verb string, args ...string) remote.Request {
	return remote.Request{Step: step, Verb: verb, Args: append([]string{t.Service.Name}, args...)}
}

func seconds(d time.Duration) string { return itoa(int((d + time.Second - 1) / time.Second)) }

func (t Transaction) units() []string {
	var names []string
	for _, r := range t.Service.Runs {
		names = append(names, r.Unit)
	}
	return names
}

// Unchanged reports whether the host has the release's files already, with owner and mode. A deploy restarts all the same.
func (t Transaction) Unchanged() bool {
	return !slices.ContainsFunc(t.FileChanges(), func(c FileChange) bool { return c.Action != Keep })
}
