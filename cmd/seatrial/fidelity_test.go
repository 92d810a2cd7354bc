package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"github.com/seatrial/seatrial/cmd/internal/lab"
	"github.com/seatrial/seatrial/remote/sshtest"
)

// Fidelity: what plan says is what deploy then does. Hosts go through many situations; each is looked at from outside
// before the plan, after it (nothing may have changed) and after the deploy, and whatever was not as the plan said is a
// failure, file by file and event by event. An embedded host goes through all of them; so do those of the other systemds and
// real ones with SEATRIAL_MATRIX=full, and otherwise each through some.

// ground is a host that situations happen on.
type ground struct {
	kind string // for the table
	ssh  string // [ssh] of the inventory
	addr string
	sh   func(script string, args ...string) (string, error)
	run  func(dir string, args ...string) (string, string, int) // seatrial
}

func TestFidelityEmbedded(t *testing.T) {
	t.Parallel()
	for i, s := range suites {
		t.Run(s.systemd, func(t *testing.T) {
			t.Parallel()
			part := situations
			if !lab.Full() && i != 1 {
				part = every(2*len(suites), 2*i, situations)
			}
			fidelity(t, embeddedGround(t, s.systemd), part)
		})
	}
}

func TestFidelity(t *testing.T) {
	var spec lab.Spec
	for _, s := range suites {
		spec.Hosts = append(spec.Hosts, lab.HostSpec{Name: s.suite, Suite: s.suite})
	}
	l := lab.Start(t, spec)
	text, err := os.ReadFile("testdata/app.pl")
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range l.Hosts {
		if err := h.Put(app, string(text), 0o755); err != nil {
			t.Fatal(err)
		}
		more := "MaxStartups 500\n"
		if h.Name == "trixie" {
			more += "PerSourcePenalties no\n"
		}
		if err := h.Put("/etc/ssh/sshd_config.d/fidelity.conf", more, 0o644); err != nil {
			t.Fatal(err)
		}
		sh(t, h, "systemctl restart ssh.service")
		t.Run(h.Name, func(t *testing.T) {
			t.Parallel()
			part := situations
			if !lab.Full() {
				part = every(4*len(suites), 4*i, situations)
			}
			fidelity(t, ground{kind: "systemd " + suites[i].systemd, ssh: l.InventorySSH(), addr: h.Addr, sh: h.Sh,
				run: func(dir string, args ...string) (string, string, int) {
					return execute(t, dir, l.Command(t.Context(), append([]string{seatrial(t)}, args...)...))
				}}, part)
		})
	}
}

// every is each nth of a list, from the first on.
func every[T any](n, first int, list []T) []T {
	var some []T
	for i := first; i < len(list); i += n {
		some = append(some, list[i])
	}
	return some
}

func embeddedGround(t *testing.T, systemd string) ground {
	version := 0
	_, _ = fmt.Sscan(systemd, &version)
	host, err := sshtest.New("web-1", sshtest.Options{User: "root", Systemd: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	host.NoUser("nobody-at-all")
	dir := t.TempDir()
	key, known := filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	if err := errors.Join(os.WriteFile(key, host.ClientKeyPEM(), 0o600), os.WriteFile(known, []byte(host.KnownHostsLine()+"\n"), 0o600),
		host.WriteFile(app, nil, 0o755, "root", "root")); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(host.ClientKeyPEM())
	if err != nil {
		t.Fatal(err)
	}
	client, err := ssh.Dial("tcp", host.Addr(), &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey()}) // a host of this process
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return ground{kind: "embedded " + systemd, addr: host.Addr(),
		ssh: fmt.Sprintf("[ssh]\nuser = \"root\"\nidentity_files = [%q]\nknown_hosts = [%q]\nuse_ssh_config = false\nconnect_timeout = \"60s\"\n", key, known),
		sh: func(script string, args ...string) (string, error) {
			session, err := client.NewSession()
			if err != nil {
				return "", err
			}
			defer session.Close()
			script = "set -- " + strings.Join(args, " ") + "\n" + script
			session.Stdin = strings.NewReader(script)
			out, err := session.Output("exec /bin/sh -s")
			return string(out), err
		},
		run: func(dir string, args ...string) (string, string, int) {
			return execute(t, dir, exec.CommandContext(t.Context(), seatrial(t), args...))
		}}
}

func execute(t *testing.T, dir string, cmd *exec.Cmd) (stdout, stderr string, code int) {
	var out, errs strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
	var exited *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exited) {
		t.Error(err)
		return "", err.Error(), -1
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// fidelity takes one host through situations, some at a time, then those that must be alone; each has a service of its own.
func fidelity(t *testing.T, g ground, situations []situation) {
	differences := make([][]string, len(situations))
	act := func(i int) {
		s := situations[i]
		p := &play{situation: s, ground: g, name: fmt.Sprintf("f%02dx", i), port: 9200 + i, dir: t.TempDir()}
		p.act()
		t.Logf("%s: %d differences", s.name, len(p.wrong))
		differences[i] = p.wrong
		if p.wrong != nil {
			t.Errorf("%s: %s\n%s", s.name, strings.Join(p.wrong, "\n"), p.evidence)
		}
	}
	var together errgroup.Group
	together.SetLimit(6)
	for i, s := range situations {
		if !s.alone {
			together.Go(func() error { act(i); return nil })
		}
	}
	_ = together.Wait()
	for i, s := range situations {
		if s.alone {
			act(i)
		}
	}
	table := fmt.Sprintf("%-44s %s\n", "situation", g.kind)
	for i, s := range situations {
		word := "as planned"
		if n := len(differences[i]); n > 0 {
			word = fmt.Sprintf("%d differences", n)
		}
		table += fmt.Sprintf("%-44s %s\n", s.name, word)
	}
	t.Log("\n" + table)
}

// A play is one situation on one host.
type play struct {
	situation
	ground
	name     string // of the service
	port     int
	dir      string
	wrong    []string
	evidence string
}

// A player is a service of the play. Its name is part of no other's.
type player struct {
	name string
	port int
	unit string // of the release
}

func (p *play) players() []player {
	all := []player{{p.name, p.port, p.unit}}
	if p.twin != "" {
		all = append(all, player{"t" + p.name[1:], p.port + 500, p.twin})
	}
	return all
}

func (p *play) differs(format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
}

func (p *play) act() {
	if err := p.before(); err != nil {
		p.differs("the situation cannot be prepared: %v", err)
		return
	}
	before := p.look()
	planned := p.plan()
	if after := p.look(); !slices.Equal(before.lines, after.lines) {
		p.differs("plan changed the host:\n%s", lineDiff(before.lines, after.lines))
	}
	deployed := p.deploy()
	after := p.look()
	for _, s := range p.players() {
		plan, deploy := planned.of(s.name), deployed.of(s.name)
		if ends := cmp.Or(plan.planned.Outcome, deploy.end.Outcome); ends != cmp.Or(p.ends, "deployed") {
			p.differs("%s ends as %s: that is another situation", s.name, ends)
		}
		p.wrong = append(p.wrong, compare(plan, deploy, before.of(s.name), after.of(s.name))...)
	}
}

// before makes the situation, deploys the earlier release, and puts the inventory of the other one in its place.
func (p *play) before() error {
	if err := p.shell(p.prepare); err != nil {
		return err
	}
	if p.earlier != "" {
		if err := p.write(p.earlier); err != nil {
			return err
		}
		if _, code := p.ask("deploy", "lab", "--json"); code != 0 {
			return fmt.Errorf("the earlier release could not be deployed: exit code %d", code)
		}
		if err := p.shell(p.change); err != nil {
			return err
		}
	}
	if err := p.write(""); err != nil || p.locked == "" {
		return err
	}
	if _, code := p.ask("lock", "lab", "--message", p.locked); code != 0 {
		return fmt.Errorf("the host could not be locked: exit code %d", code)
	}
	return nil
}

// shell runs a script of the situation for each service.
func (p *play) shell(script string) error {
	for _, s := range p.players() {
		if out, err := p.sh(prelude+script, s.name, fmt.Sprint(s.port), app); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// write makes the inventory and its files, with a certain unit or that of the release.
func (p *play) write(unit string) error {
	text := p.ssh + fmt.Sprintf("\n[environments.lab]\n[[environments.lab.hosts]]\nname = \"host\"\naddress = %q\n", p.addr)
	files := map[string]string{}
	for _, s := range p.players() {
		fill := strings.NewReplacer("$n", s.name, "$port", fmt.Sprint(s.port), "$app", app).Replace
		file := s.name + ".service"
		if strings.Contains(p.more, "instances") {
			file = s.name + "@.service"
		}
		text += fmt.Sprintf("[services.%[1]s]\nunit = %[2]q\nstart_timeout = \"30s\"\n%[3]s\n[services.%[1]s.settle]\nwindow = \"2s\"\nallow_short = true\n",
			s.name, file, fill(p.more))
		files[file] = fill(cmp.Or(unit, s.unit))
		files["rotate.conf"] = fill("/var/log/$n/*.log { weekly }\n")
	}
	files["inventory.toml"] = text
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// plan is what the program says it would do.
func (p *play) plan() run {
	args := []string{"plan", "lab", "--json"}
	if p.verb != "" {
		args = []string{p.verb, "lab", "--dry-run", "--json"}
	}
	if p.checks {
		args = append(args, "--checks")
	}
	return p.said(p.ask(args...))
}

func (p *play) deploy() run { return p.said(p.ask(cmp.Or(p.verb, "deploy"), "lab", "--json")) }

func (p *play) ask(args ...string) (out string, code int) {
	out, errs, code := p.run(p.dir, args...)
	p.evidence += fmt.Sprintf("$ seatrial %s: exit %d\n%s%s", strings.Join(args, " "), code, errs, out)
	return out, code
}

// said reads what a run printed.
func (p *play) said(out string, code int) run {
	r := run{code: code}
	dec := json.NewDecoder(strings.NewReader(out))
	for {
		var line saidLine
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			p.differs("not JSON: %v", err)
			return r
		}
		r.lines = append(r.lines, line)
	}
}
