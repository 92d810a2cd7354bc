// Package inventory reads inventory.toml: the environments, their hosts, and the
// services they run. Reading is strict, because whatever slips through here is
// noticed on a production host: every problem is reported at once, with its file,
// its line and what to write instead. What Read returns needs no further checks.
//
// The package opens local files and nothing else: no SSH, no network, no printing.
package inventory

import "time"

// Inventory is everything one inventory file says. Services and Environments are in
// file order, which is also the order of every listing made from them.
type Inventory struct {
	Path         string // as given to Read
	Dir          string // absolute; what relative local paths start from
	SSH          SSH
	Services     []*Service
	Environments []*Environment
}

// Environment returns the environment called name. The error is an *UnknownError.
func (i *Inventory) Environment(name string) (*Environment, error) {
	known := make([]string, 0, len(i.Environments))
	for _, environment := range i.Environments {
		if environment.Name == name {
			return environment, nil
		}
		known = append(known, environment.Name)
	}
	return nil, &UnknownError{What: "environment", Name: name, Known: known}
}

// Service returns the service called name. The error is an *UnknownError.
func (i *Inventory) Service(name string) (*Service, error) {
	known := make([]string, 0, len(i.Services))
	for _, service := range i.Services {
		if service.Name == name {
			return service, nil
		}
		known = append(known, service.Name)
	}
	return nil, &UnknownError{What: "service", Name: name, Known: known}
}

// SSH is how hosts are reached where they do not say it themselves. What is empty
// here is left to ~/.ssh/config, unless UseSSHConfig is false.
type SSH struct {
	User           string
	IdentityFiles  []string // absolute, ~ expanded
	KnownHosts     []string // absolute, ~ expanded
	ConnectTimeout time.Duration
	UseSSHConfig   bool
}

// Environment is a list of hosts that are deployed to together.
type Environment struct {
	Name    string   `json:"name"`
	Confirm bool     `json:"confirm,omitempty"` // deploying asks first, or wants --yes
	Require []string `json:"require,omitempty"` // environments on all of whose hosts a release must have been committed first
	Rollout Rollout  `json:"rollout"`
	Hosts   []*Host  `json:"hosts,omitempty"`
}

// Host is one place where services run.
type Host struct {
	Name     string   `json:"name"`
	Address  string   `json:"address,omitempty"` // host, host:port, or an alias of ~/.ssh/config
	User     string   `json:"user,omitempty"`    // empty: SSH.User
	Tags     []string `json:"tags,omitempty"`
	HostKey  string   `json:"host_key,omitempty"` // "SHA256:..." when pinned
	Services []string `json:"services,omitempty"` // names in file order; all of them unless the host says otherwise
}

// What to do about an unreachable host (Rollout.Unreachable).
const (
	UnreachableFail = "fail"
	UnreachableSkip = "skip"
)

// What happens to the fleet after a failure (Rollout.OnFailure).
const (
	RollbackAll    = "rollback-all"    // every host touched by the run goes back
	RollbackFailed = "rollback-failed" // only the hosts that failed go back
	Halt           = "halt"            // hosts that failed go back, no further wave starts
)

// Rollout says in which order and how carefully an environment's hosts change.
type Rollout struct {
	Canary      Canary        `json:"canary"`
	Waves       []Share       `json:"waves,omitempty"` // cumulative; the last one is always all hosts
	Pause       time.Duration `json:"pause,omitempty"`
	MaxParallel int           `json:"max_parallel,omitempty"`
	MaxFailed   Share         `json:"max_failed"` // over the whole run
	Unreachable string        `json:"unreachable,omitempty"`
	OnFailure   string        `json:"on_failure,omitempty"`
}

// Canary picks the hosts that go first, alone: so many, or those with a tag.
// The zero value is no canary.
type Canary struct {
	Count int    `json:"count,omitempty"`
	Tag   string `json:"tag,omitempty"`
}

// Service is what is deployed: units that move together, and what surrounds them.
type Service struct {
	Name         string        `json:"name"`
	Units        []Unit        `json:"units,omitempty"`
	Instances    []string      `json:"instances,omitempty"` // of the template units
	StartTimeout time.Duration `json:"start_timeout,omitempty"`
	Logs         *Logs         `json:"logs,omitempty"` // nil: no log directory
	Checks       []Check       `json:"checks,omitempty"`
	Settle       Settle        `json:"settle"`
	Verify       Verify        `json:"verify"`
	RefuseDrift  bool          `json:"refuse_drift,omitempty"` // a host whose unit was changed by hand is refused, not overwritten
}

// Unit is one systemd unit file, read and known to be one.
type Unit struct {
	Name      string   `json:"name"` // base name, for example whit.service
	Path      string   `json:"-"`    // local
	Content   []byte   `json:"content,omitempty"`
	Digest    string   `json:"digest,omitempty"`    // sha256, hex
	Instances []string `json:"instances,omitempty"` // only for a template such as whit@.service
}

// Names returns what systemd runs of the unit: itself, or each of its instances.
func (u Unit) Names() []string {
	if !isTemplate(u.Name) {
		return []string{u.Name}
	}
	names := make([]string, 0, len(u.Instances))
	for _, instance := range u.Instances {
		names = append(names, instanceName(u.Name, instance))
	}
	return names
}

// Logs is the log directory a service needs before it starts.
type Logs struct {
	Directory string `json:"directory,omitempty"`
	Owner     string `json:"owner,omitempty"`
	Group     string `json:"group,omitempty"`
	Mode      string `json:"mode,omitempty"`      // four octal digits
	Logrotate *File  `json:"logrotate,omitempty"` // nil: no rotation is pushed
}

// File is a local file and the place on a host it is pushed to.
type File struct {
	Path    string `json:"-"`                // local
	Target  string `json:"target,omitempty"` // on the host
	Content []byte `json:"content,omitempty"`
	Digest  string `json:"digest,omitempty"` // sha256, hex
}

// How much a failing check matters (Check.Severity).
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Check is something that must hold on a host before anything there changes.
// Exactly one of Directory, File, Executable and Command is set; WorkingDirectory,
// User and Environment belong to a Command.
type Check struct {
	Name             string        `json:"name"`
	Severity         string        `json:"severity,omitempty"`
	Directory        string        `json:"directory,omitempty"`
	File             string        `json:"file,omitempty"`
	Executable       string        `json:"executable,omitempty"`
	Command          []string      `json:"command,omitempty"` // run as it is, byte for byte, by no shell
	WorkingDirectory string        `json:"working_directory,omitempty"`
	User             string        `json:"user,omitempty"`        // empty: root
	Environment      []Variable    `json:"environment,omitempty"` // sorted by name
	Timeout          time.Duration `json:"timeout,omitempty"`
}

// Variable is one environment variable of a check's command.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

// Settle is how long a fresh unit must run undisturbed before it is trusted.
type Settle struct {
	Window time.Duration `json:"window,omitempty"`
}

// Verify is what must be true of a service once it has settled.
type Verify struct {
	Listen  []string      `json:"listen,omitempty"` // "ip:port" or ":port"
	HTTP    []HTTP        `json:"http,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
}

// HTTP is one request, asked from the host's side of the connection.
type HTTP struct {
	URL      string `json:"url,omitempty"`
	Status   int    `json:"status,omitempty"`
	Contains string `json:"contains,omitempty"` // empty: any body
}
