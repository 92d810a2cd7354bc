package sshtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

func systemdCommands() map[string]command {
	return map[string]command{"systemctl": systemctl, "systemd-run": systemdRun, "systemd-analyze": systemdAnalyze,
		"journalctl": journalctl}
}

// unitName adds .service to a bare name.
func unitName(name string) string {
	if path.Ext(name) == "" {
		return name + ".service"
	}
	return name
}

// request is a systemctl command line, options anywhere.
type request struct {
	verb       string
	units      []string
	properties []string
	value      bool
	quiet      bool
	noBlock    bool
	noReload   bool
	now        bool
	signal     string
}

func (c *call) request() request {
	r := request{signal: "TERM"}
	var words []string
	for i := 0; i < len(c.args); i++ {
		name, value, joined := strings.Cut(c.args[i], "=")
		switch name {
		case "--":
			words = append(words, c.args[i+1:]...)
			i = len(c.args)
		case "-p", "--property", "-s", "--signal", "-t", "--type", "-P":
			if !joined {
				i = min(i+1, len(c.args)-1)
				value = c.args[i]
			}
			r.option(name, value)
		case "--value", "-q", "--quiet", "--no-block", "--no-reload", "--now":
			r.flag(name)
		default:
			if strings.HasPrefix(name, "-p") {
				r.option("-p", name[2:])
			} else if !strings.HasPrefix(name, "-") || name == "--version" {
				words = append(words, c.args[i])
			}
		}
	}
	if len(words) > 0 {
		r.verb = words[0]
		for _, word := range words[1:] {
			r.units = append(r.units, unitName(word))
		}
	}
	return r
}

func (r *request) option(name, value string) {
	switch name {
	case "-P":
		r.value = true
		r.properties = append(r.properties, strings.Split(value, ",")...)
	case "-p", "--property":
		r.properties = append(r.properties, strings.Split(value, ",")...)
	case "-s", "--signal":
		r.signal = strings.TrimPrefix(value, "SIG")
	}
}

func (r *request) flag(name string) {
	switch name {
	case "--value":
		r.value = true
	case "-q", "--quiet":
		r.quiet = true
	case "--no-block":
		r.noBlock = true
	case "--no-reload":
		r.noReload = true
	case "--now":
		r.now = true
	}
}

func systemctl(c *call) error {
	r := c.request()
	if c.p.user != "root" && !slices.Contains([]string{"show", "--version", "is-active", "is-enabled", "cat", "is-failed",
		"is-system-running", "list-units", ""}, r.verb) {
		return c.plainly("Failed to %s %s: Access denied", r.verb, strings.Join(r.units, " "))
	}
	switch r.verb {
	case "--version":
		c.out("systemd %d (%d-1~embedded)\n+PAM +AUDIT\n", c.h.options.Systemd, c.h.options.Systemd)
		return nil
	case "start", "stop", "restart", "try-restart":
		return c.jobs(r)
	case "enable", "disable":
		return c.enable(r)
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	switch r.verb {
	case "show":
		return c.showUnits(r)
	case "daemon-reload":
		return c.reload()
	case "is-system-running":
		return c.isRunning()
	}
	return c.eachUnit(r)
}

// plainly prints an error in systemctl's way, which does not begin with its name.
func (c *call) plainly(format string, args ...any) error {
	fmt.Fprintf(c.stderr, format+"\n", args...)
	return exit(1)
}

func (c *call) reload() error {
	if err := c.h.reloadRefused(); err != nil {
		return c.plainly("Failed to reload daemon: %v", err)
	}
	c.h.systemd.reload()
	return nil
}

func (c *call) isRunning() error {
	for _, u := range c.h.systemd.units {
		if u.active == "failed" {
			c.out("degraded\n")
			return exit(1)
		}
	}
	c.out("running\n")
	return nil
}

// eachUnit runs a verb that needs no job. The status is the worst.
func (c *call) eachUnit(r request) error {
	if r.verb == "reset-failed" && len(r.units) == 0 {
		for _, u := range c.h.systemd.units {
			u.resetFailed()
		}
	}
	status := 0
	for _, name := range r.units {
		status = max(status, c.one(r, name))
	}
	if !slices.Contains([]string{"reset-failed", "is-active", "is-failed", "is-enabled", "cat", "kill", "mask", "unmask"}, r.verb) {
		return c.plainly("Unknown command verb '%s' on the embedded host.", r.verb)
	}
	return exit(status)
}

func (c *call) one(r request, name string) int {
	m := c.h.systemd
	u := m.find(name)
	switch r.verb {
	case "reset-failed":
		if u.load == "not-found" && u.active == "inactive" {
			_ = c.plainly("Failed to reset failed state of unit %s: Unit %s not loaded.", name, name)
			return 1
		}
		u.resetFailed()
	case "is-active":
		return c.state(r, u.active, u.active == "active", m.notActive(u))
	case "is-failed":
		return c.state(r, u.active, u.active == "failed", 1)
	case "is-enabled":
		return c.isEnabled(r, m.fileState(name), name)
	case "kill":
		m.kill(u, r.signal)
	case "mask":
		_ = c.h.tree.remove("/etc/systemd/system/"+name, false)
		_ = c.h.tree.symlink("/dev/null", "/etc/systemd/system/"+name, "root")
	case "unmask":
		_ = c.h.tree.remove("/etc/systemd/system/"+name, false)
	case "cat":
		if u.load == "not-found" {
			_ = c.plainly("No files found for %s.", name)
			return 1
		}
		c.out("# %s\n%s", u.file.fragment, u.file.text)
	}
	return 0
}

func (c *call) isEnabled(r request, state, name string) int {
	switch {
	case state == "" && c.h.options.Systemd >= 254:
		return c.state(r, "not-found", false, 4)
	case state == "":
		_ = c.plainly("Failed to get unit file state for %s: No such file or directory", name)
		return 1
	}
	return c.state(r, state, strings.HasPrefix(state, "enabled") || state == "static", 1)
}

// notActive is the status of is-active: 3, and since 257 4 for a unit that does not exist.
func (m *manager) notActive(u *unit) int {
	if u.load == "not-found" && m.h.options.Systemd >= 257 {
		return 4
	}
	return 3
}

func (c *call) state(r request, text string, held bool, status int) int {
	if !r.quiet {
		c.out("%s\n", text)
	}
	if held {
		return 0
	}
	return status
}

// jobs enqueues and, unless told otherwise, waits for the results.
func (c *call) jobs(r request) error {
	c.h.mu.Lock()
	var jobs []*job
	var workers []*worker
	failed := 0
	for _, name := range r.units {
		u := c.h.systemd.find(name)
		if status := c.refused(r.verb, u); status != 0 {
			failed = max(failed, status)
			continue
		}
		if r.verb == "stop" && u.worker != nil {
			// a background process gets its signal at once; whoever asks may be this very process
			if c.p.unit != u.name {
				workers = append(workers, u.worker)
			}
			u.stop()
			continue
		}
		if u.stale() {
			_ = c.plainly("Warning: The unit file, source configuration file or drop-ins of %s changed on disk. "+
				"Run 'systemctl daemon-reload' to reload units.", name)
		}
		jobs = append(jobs, u.enqueue(strings.TrimPrefix(r.verb, "try-")))
	}
	c.h.mu.Unlock()
	for _, w := range workers {
		<-w.done
	}
	if r.noBlock {
		return exit(failed)
	}
	done := func() bool { return !slices.ContainsFunc(jobs, func(j *job) bool { return j.result == "" }) }
	if err := c.h.clock.wait(c.ctx, c.p, c.h.Uptime()+24*time.Hour, done); err != nil {
		return err
	}
	return exit(max(failed, c.results(jobs)))
}

func (c *call) results(jobs []*job) int {
	status := 0
	for _, j := range jobs {
		journal := "eu " + j.unit
		if c.h.options.Systemd < 250 {
			journal = "e"
		}
		if j.result != "done" {
			status = 1
			_ = c.plainly("Job for %[1]s failed because %[2]s.\nSee \"systemctl status %[1]s\" and \"journalctl -x%[3]s\" for details.",
				j.unit, reason(j.why), journal)
		}
	}
	return status
}

// reason is a Result= in systemctl's words.
func reason(result string) string {
	switch result {
	case "timeout":
		return "a timeout was exceeded"
	case "signal":
		return "a fatal signal was delivered to the control process"
	case "start-limit-hit":
		return "start of the service was attempted too often"
	}
	return "the control process exited with error code"
}

// refused is the status of a job that cannot be made.
func (c *call) refused(verb string, u *unit) int {
	switch {
	case verb == "stop" && u.load == "not-found" && u.active == "inactive":
		_ = c.plainly("Failed to stop %s: Unit %s not loaded.", u.name, u.name)
		return 5
	case verb == "stop" || u.load == "loaded":
		return 0
	case u.load == "not-found":
		_ = c.plainly("Failed to %s %s: Unit %s not found.", verb, u.name, u.name)
		return 5
	case u.load == "masked":
		_ = c.plainly("Failed to %s %s: Unit %s is masked.", verb, u.name, u.name)
		return 1
	}
	_ = c.plainly("Failed to %[1]s %[2]s: Unit %[2]s has a bad unit file setting.\n"+
		"See system logs and 'systemctl status %[2]s' for details.", verb, u.name)
	return 1
}

func (c *call) enable(r request) error {
	c.h.mu.Lock()
	errs := 0
	for _, name := range r.units {
		change := c.h.systemd.enable
		if r.verb == "disable" {
			change = c.h.systemd.disable
		}
		told, err := change(name)
		if err != nil {
			errs++
			_ = c.plainly("Failed to %s unit: %v", r.verb, err)
		}
		for _, line := range told {
			_ = c.plainly("%s", line)
		}
	}
	if !r.noReload && c.h.reloadRefused() == nil {
		c.h.systemd.reload()
	}
	c.h.mu.Unlock()
	if errs == 0 && r.now {
		r.verb = map[string]string{"enable": "start", "disable": "stop"}[r.verb]
		return c.jobs(r)
	}
	return exitIf(errs > 0)
}
