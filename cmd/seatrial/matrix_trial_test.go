package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/seatrial/seatrial/cmd/internal/lab"
)

// The kinds of service that meet a fault.
type kind int

const (
	update  kind = iota // a unit made by hand, enabled and running
	first               // nothing is there
	several             // unit and logrotate file together, not enabled, and a log directory to make
	kinds
)

// A trial is one service on one host, and the one fault that it meets. The service is nobody else's, so trials run side
// by side.
type trial struct {
	*matrix
	host    *lab.Host
	class   string
	what    string // the fault
	kind    kind
	bad     bool // the new release dies
	undone  bool // it is committed, and then it dies on another host
	enabled bool
	boots   bool // the host boots in this trial: what was not enabled does not run afterwards
	cut     bool // the host will not answer: it is not waited for as long
	window  int
	service string
	port    int
	dir     string
	old     map[string]string // path -> content; absent: none
	new     map[string]string

	mu     sync.Mutex
	log    strings.Builder // evidence
	loud   bool            // a report said that it does not know
	late   bool            // it took another contact to remove what was left
	met    bool            // the fault happened
	became string
	wrongs []string
}

func (x *trial) note(format string, args ...any) {
	x.mu.Lock()
	defer x.mu.Unlock()
	fmt.Fprintf(&x.log, "%s "+format+"\n", append([]any{time.Now().Format("05.000")}, args...)...)
}

func (x *trial) wrong(format string, args ...any) {
	x.note("WRONG: "+format, args...)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.wrongs = append(x.wrongs, fmt.Sprintf(format, args...))
}

func (x *trial) unit() string { return "/etc/systemd/system/" + x.service + ".service" }

// prepare makes both releases and the inventory, and puts the old one on the host.
func (x *trial) prepare() error {
	text := func(version int, more string) string {
		return fmt.Sprintf("[Unit]\nDescription=%s\n[Service]\nExecStart=%s --listen=127.0.0.1:%d --version=%d %s\n[Install]\nWantedBy=multi-user.target\n",
			x.service, app, x.port, version, more)
	}
	more := ""
	if x.bad {
		more = "--crash-after=1"
	}
	if x.undone {
		more = "\nExecStartPre=/usr/bin/test %H = " + x.host.Name
	}
	x.old, x.new = map[string]string{}, map[string]string{x.unit(): text(2, more)}
	if x.kind != first {
		x.old[x.unit()] = text(1, "")
	}
	rotated := "/etc/logrotate.d/" + x.service
	if x.kind == several {
		x.old[rotated], x.new[rotated] = "/var/log/old.log { weekly }\n", "/var/log/new.log { weekly }\n"
	}
	x.enabled = x.kind == update || x.kind == several && x.boots
	if err := x.inventory(rotated); err != nil {
		return err
	}
	for path, content := range x.old {
		if err := x.host.Put(path, content, 0o644); err != nil {
			return err
		}
	}
	return x.startOld()
}

// startOld enables with a link: `systemctl enable` without a reload makes systemd 257 want one for every unit, and a reload
// would hide one that is missing in another trial.
func (x *trial) startOld() error {
	if x.kind == first {
		return nil
	}
	script := `[ "$2" = no ] || ln -s "/etc/systemd/system/$1" /etc/systemd/system/multi-user.target.wants/; systemctl start "$1"`
	enable := "no"
	if x.enabled {
		enable = "yes"
	}
	_, err := x.host.Sh(script, x.service+".service", enable)
	return err
}

func (x *trial) inventory(rotated string) error {
	logs := ""
	if x.kind == several {
		logs = fmt.Sprintf("[services.%[1]s.logs]\ndirectory = \"/var/log/%[1]s\"\nlogrotate = \"rotate.conf\"\n", x.service)
	}
	ssh := x.lab.InventorySSH()
	if !x.boots && !x.cut {
		ssh = strings.Replace(ssh, `"10s"`, `"60s"`, 1) // many at once on few cores
	}
	other := ""
	if x.undone {
		h := x.single[(x.turn(x.host)+1)%len(x.single)]
		other = fmt.Sprintf("[[environments.lab.hosts]]\nname = %q\naddress = %q\n[environments.lab.rollout]\ncanary = 1\n", h.Name, h.Addr)
	}
	text := ssh + fmt.Sprintf(`
[services.%[1]s]
unit = "%[1]s.service"
start_timeout = "45s"
[services.%[1]s.settle]
window = "%[6]ds"
allow_short = true
[services.%[1]s.verify]
listen = ["127.0.0.1:%[2]d"]
timeout = "30s"
%[3]s
[environments.lab]
[[environments.lab.hosts]]
name = %[4]q
address = %[5]q
%[7]s`, x.service, x.port, logs, x.host.Name, x.host.Addr, max(x.window, 2), other)
	for name, content := range map[string]string{"inventory.toml": text, x.service + ".service": x.new[x.unit()], "rotate.conf": x.new[rotated]} {
		if err := os.WriteFile(filepath.Join(x.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// order tells the host where its scripts are to die; see testdata/crash.
func (x *trial) order(at point, when, how string) error {
	x.what = fmt.Sprintf("%s %d (%s) %s %s", at.verb, at.n, at.command, when, how)
	return x.host.Put("/run/crash/"+x.service, fmt.Sprintf("%s %d %s %s", at.verb, at.n, when, how), 0o600)
}

// hit says whether the order was carried out.
func (x *trial) hit() bool {
	out, err := x.host.Get("/run/crash/" + x.service + ".hit")
	if err == nil && out != "" {
		x.note("hit: %s", out)
	}
	return err == nil && out != ""
}

// A point is one command of the scripts.
type point struct {
	verb    string
	n       int
	command string
}

func (x *trial) trace() []point {
	out, err := x.host.Get("/run/crash/" + x.service + ".trace")
	if err != nil {
		x.wrong("no trace: %v", err)
	}
	var all []point
	for line := range strings.Lines(out) {
		var p point
		if n, _ := fmt.Sscan(line, &p.verb, &p.n); n == 2 {
			p.command = strings.Join(strings.Fields(line)[2:], " ")
			p.command = strings.ReplaceAll(p.command[:min(len(p.command), 60)], x.service, "SERVICE")
			all = append(all, p)
		}
	}
	return all
}

// A controller is one run of the product.
type controller struct {
	x     *trial
	began time.Time
	cmd   *exec.Cmd
	lines chan int // the number of each line as it comes; closed at the end
	ended chan struct{}
	last  string
	errs  strings.Builder
}

func (x *trial) start(args ...string) *controller {
	c := &controller{x: x, began: time.Now(), lines: make(chan int, 10000), ended: make(chan struct{})}
	c.cmd = x.lab.Command(context.Background(), append([]string{x.bin}, args...)...)
	c.cmd.Dir = x.dir
	c.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(x.dir, "state"))
	c.cmd.Stderr = &c.errs
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		x.wrong("cannot start seatrial: %v", err)
		close(c.lines)
		close(c.ended)
		return c
	}
	x.note("$ seatrial %s", strings.Join(args, " "))
	go func() {
		defer close(c.ended)
		defer close(c.lines)
		scanner := bufio.NewScanner(out)
		scanner.Buffer(nil, 4<<20)
		for n := 1; scanner.Scan(); n++ {
			c.last = scanner.Text()
			x.note("%2d %s", n, brief(c.last))
			c.lines <- n
		}
		_ = c.cmd.Wait()
		x.note("exit %d %s", c.cmd.ProcessState.ExitCode(), c.errs.String())
	}()
	return c
}

func brief(line string) string {
	var e map[string]any
	if json.Unmarshal([]byte(line), &e) != nil {
		return line
	}
	var words []string
	for _, key := range []string{"type", "step", "status", "kind", "outcome", "exit_code", "text"} {
		if v, ok := e[key]; ok {
			words = append(words, fmt.Sprint(v))
		}
	}
	return strings.Join(words, " ")
}

func (c *controller) kill() {
	_ = c.cmd.Process.Kill()
	c.x.note("controller killed")
}

// killAt kills the controller when it says its nth line, and reports whether it came so far.
func (c *controller) killAt(n int) bool {
	for line := range c.lines {
		if line == n {
			c.kill()
			<-c.ended
			return true
		}
	}
	return false
}

// wait waits for the end, and holds the report against what is there.
func (c *controller) wait(limit time.Duration) *controller {
	select {
	case <-c.ended:
	case <-time.After(limit):
		c.x.wrong("seatrial did not end within %s", limit)
		c.kill()
		<-c.ended
	}
	return c
}

// outcome is what the run reported for the host; empty: it came to no report.
func (c *controller) outcome() string {
	var end struct {
		Type  string
		Hosts []struct{ Host, Outcome string }
	}
	if json.Unmarshal([]byte(c.last), &end) != nil || end.Type != "run.finished" {
		return ""
	}
	for _, h := range end.Hosts {
		if h.Host == c.x.host.Name {
			return h.Outcome
		}
	}
	return ""
}

// deploy is a whole run that nobody kills.
func (x *trial) deploy() string {
	release := x.enter()
	defer release()
	return x.start("deploy", "lab", "--json").wait(5 * time.Minute).outcome()
}

func (x *trial) resume() string {
	release := x.enter()
	defer release()
	return x.start("resume", "--json").wait(5 * time.Minute).outcome()
}

// evidence is what a person needs to find the cause.
func (x *trial) evidence() string {
	state, _ := x.host.Sh(`cat "/var/lib/seatrial/$1/record" "/run/crash/$1.trace"; journalctl -q --no-pager -o short-precise | grep -F "$1" | tail -n 40`, x.service)
	return x.log.String() + state
}

// remove takes the service off the host.
func (x *trial) remove() {
	_, _ = x.host.Sh(`systemctl stop "$1.service" 2>/dev/null
rm -rf /etc/systemd/system/multi-user.target.wants/$1.service /etc/systemd/system/$1.service /etc/logrotate.d/$1 /var/log/$1 /var/lib/seatrial/$1 /run/crash/$1*`, x.service)
	_ = os.RemoveAll(x.dir)
}

// said reports whether the log has a text.
func (x *trial) said(text string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Contains(x.log.String(), text)
}
