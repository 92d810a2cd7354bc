package cli

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/remote/sshtest"
)

func (p *program) rehearseCommand() *cli.Command {
	return &cli.Command{
		Name:      "rehearse",
		Usage:     "play a deploy of your own inventory on embedded hosts; nothing leaves this machine",
		ArgsUsage: "ENVIRONMENT",
		UsageText: "seatrial rehearse ENVIRONMENT [options]\n\nseatrial rehearse staging\nseatrial rehearse staging --fail settle\nseatrial rehearse production --fail verify@web-2 -v",
		Description: "Each host of the environment is played by a simulated Linux host inside this process, which runs the same\n" +
			"scripts as a real one, over SSH on loopback; an older release of the service runs there. The commands of your\n" +
			"checks are not run: they are taken to succeed. Time on these hosts is simulated, too.\n" +
			"--fail STEP[@HOST] breaks a step and shows what becomes of the fleet: " + strings.Join(sshtest.Faults(), ", ") + ".",
		Flags: common(&cli.StringSliceFlag{Name: "fail", Usage: "make `STEP[@HOST]` fail; may be given again"},
			&cli.BoolFlag{Name: "first", Usage: "as a first install: no older release runs there", DisableDefaultText: true}),
		Action: p.rehearse,
	}
}

func (p *program) rehearse(c *cli.Context) error {
	names, err := environments(c, false)
	if err != nil {
		return err
	}
	_, order, err := p.order(c, plans.Deploy(), names[0])
	if err != nil {
		return err
	}
	order.Require = nil // nothing leaves this machine
	fleet := &rehearsal{hosts: map[string]*sshtest.Host{}}
	defer fleet.close()
	for _, h := range order.Hosts {
		if err := fleet.add(h, order.Services, !c.Bool("first")); err != nil {
			return err
		}
	}
	for _, fault := range c.StringSlice("fail") {
		if err := fleet.fail(fault); err != nil {
			return err
		}
	}
	show, _ := p.display(c)
	if _, text := show.(*ui.Text); text {
		_, _ = fmt.Fprintf(p.errs, "rehearsal on %d embedded hosts: nothing leaves this machine; %s\n",
			len(order.Hosts), simulated(commands(order.Services)))
	}
	runner := p.runner(&inventory.Inventory{}, show)
	runner.Connect, runner.Journal = fleet.connect, nil
	run := runner.Survey(c.Context, order)
	defer run.Close()
	if code := run.Do(c.Context); code != plans.ExitOK {
		return exit(code)
	}
	return nil
}

// simulated says what a rehearsal cannot prove.
func simulated(checks int) string {
	switch checks {
	case 0:
		return "no check is a command"
	case 1:
		return "1 check command is simulated, not run"
	}
	return fmt.Sprintf("%d check commands are simulated, not run", checks)
}

func commands(services []*inventory.Service) int {
	n := 0
	for _, s := range services {
		for _, check := range s.Checks {
			if len(check.Command) > 0 {
				n++
			}
		}
	}
	return n
}

// rehearsal is a fleet of embedded hosts, by the inventory's host names.
type rehearsal struct {
	hosts map[string]*sshtest.Host
	order []string
	dir   string // keys and known_hosts, thrown away at the end
	dial  remote.Dialer
}

// add starts the host that plays h.
func (r *rehearsal) add(h *inventory.Host, services []*inventory.Service, older bool) error {
	var app sshtest.App
	var answers []inventory.HTTP
	for _, s := range services {
		app.Listen = append(app.Listen, s.Verify.Listen...)
		answers = append(answers, s.Verify.HTTP...)
		app.Listen = append(app.Listen, httpAddresses(s.Verify)...)
	}
	host, err := sshtest.New(h.Name, sshtest.Options{App: app, HTTP: answering(answers)})
	if err != nil {
		return err
	}
	r.hosts[h.Name], r.order = host, append(r.order, h.Name)
	for _, s := range services {
		if err := furnish(host, s, older); err != nil {
			return fmt.Errorf("preparing embedded host %s: %w", h.Name, err)
		}
	}
	return r.writeKeys(h.Name, host)
}

// httpAddresses are where the HTTP checks ask, when verify.listen does not name them.
func httpAddresses(v inventory.Verify) []string {
	var all []string
	for _, h := range v.HTTP {
		u, err := url.Parse(h.URL)
		if err != nil || u.Port() == "" || contains(v.Listen, u.Host) || contains(v.Listen, ":"+u.Port()) {
			continue
		}
		all = append(all, u.Host)
	}
	return all
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// answering gives each URL of the inventory the answer that it wants.
func answering(checks []inventory.HTTP) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, h := range checks {
			if u, err := url.Parse(h.URL); err == nil && u.Path == r.URL.Path && u.Host == r.Host {
				w.WriteHeader(h.Status)
				_, _ = fmt.Fprintln(w, h.Contains)
				return
			}
		}
		http.NotFound(w, r)
	})
}

// furnish puts what the checks look for on the host, and an older release of the service.
func furnish(host *sshtest.Host, s *inventory.Service, older bool) error {
	for _, check := range s.Checks {
		for _, dir := range []string{check.Directory, check.WorkingDirectory} {
			if dir != "" {
				if err := host.Mkdir(dir, 0o755, "root", "root"); err != nil {
					return err
				}
			}
		}
		file, mode := check.File, fs.FileMode(0o644)
		if check.Executable != "" {
			file, mode = check.Executable, 0o755
		}
		if file != "" {
			if err := host.Mkdir(path.Dir(file), 0o755, "root", "root"); err != nil {
				return err
			}
			if err := host.WriteFile(file, nil, mode, "root", "root"); err != nil {
				return err
			}
		}
	}
	if !older {
		return nil
	}
	return installOlder(host, s)
}

func installOlder(host *sshtest.Host, s *inventory.Service) error {
	for _, u := range s.Units {
		text := "# the release before, for the rehearsal\n" + string(u.Content)
		if err := host.WriteFile("/etc/systemd/system/"+u.Name, []byte(text), 0o644, "root", "root"); err != nil {
			return err
		}
	}
	host.DaemonReload()
	for _, u := range s.Units {
		for _, name := range u.Names() {
			if err := host.StartUnit(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rehearsal) writeKeys(name string, host *sshtest.Host) error {
	if r.dir == "" {
		dir, err := os.MkdirTemp("", "seatrial-rehearsal-")
		if err != nil {
			return err
		}
		r.dir = dir
	}
	if err := os.WriteFile(filepath.Join(r.dir, name+".key"), host.ClientKeyPEM(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, name+".known"), []byte(host.KnownHostsLine()+"\n"), 0o600)
}

func (r *rehearsal) connect(ctx context.Context, h *inventory.Host) (*remote.Conn, error) {
	return r.dial.Dial(ctx, remote.Host{Name: h.Name, Address: r.hosts[h.Name].Addr(), User: "deploy",
		IdentityFiles: []string{filepath.Join(r.dir, h.Name+".key")}, KnownHosts: []string{filepath.Join(r.dir, h.Name+".known")}})
}

// fail breaks STEP on all hosts, or STEP@HOST.
func (r *rehearsal) fail(fault string) error {
	step, host, one := strings.Cut(fault, "@")
	if one && r.hosts[host] == nil {
		return &inventory.UnknownError{What: "host", Name: host, Known: r.order}
	}
	for _, name := range r.order {
		if one && name != host {
			continue
		}
		if err := r.hosts[name].Fail(step); err != nil {
			return &usageError{err.Error(), "seatrial rehearse staging --fail settle@" + name}
		}
	}
	return nil
}

func (r *rehearsal) close() {
	for _, name := range r.order {
		_ = r.hosts[name].Close()
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}
