package plans

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/remote/sshtest"
)

const (
	webPath  = "/etc/systemd/system/web.service"
	trialDir = "/run/systemd/system.control/"
	address  = "127.0.0.1:8003"
)

// unit is a unit file whose program behaves as its words say; see sshtest.
func unit(words string, lines ...string) string {
	if !strings.Contains(words, "--listen") {
		words += " --listen=" + address
	}
	return "[Unit]\nDescription=Web\n[Service]\nExecStart=/usr/bin/web " + words + "\n" + strings.Join(lines, "\n") +
		"\n[Install]\nWantedBy=multi-user.target\n"
}

func unitOf(name, text string) inventory.Unit {
	return inventory.Unit{Name: name, Content: []byte(text), Digest: digestOf([]byte(text))}
}

// web is the service that the tests deploy.
func web(text string) *inventory.Service {
	return &inventory.Service{
		Name: "web", Units: []inventory.Unit{unitOf("web.service", text)}, StartTimeout: 30 * time.Second,
		Settle: inventory.Settle{Window: 15 * time.Second},
		Verify: inventory.Verify{Listen: []string{address}, Timeout: 30 * time.Second},
	}
}

// fleet is an environment of embedded hosts, and a runner that writes its events down.
type fleet struct {
	t      testing.TB
	hosts  map[string]*sshtest.Host
	order  Order
	runner *Runner
	dial   remote.Dialer
	key    string
	known  string
	down   map[string]error // hosts that cannot be connected to
	tokens int

	mu     sync.Mutex
	events []Event
	each   func(int, Event) // is told of each event, and its number
}

// newFleet makes n hosts, web-1 to web-n, on which the old unit runs (unless it is empty), and an order to deploy fresh.
func newFleet(t testing.TB, n int, old, fresh string) *fleet {
	t.Helper()
	f := &fleet{t: t, hosts: map[string]*sshtest.Host{}, down: map[string]error{}}
	dir := t.TempDir()
	f.dial.Home, f.key, f.known = dir, filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	public := f.newKey()
	env := &inventory.Environment{Name: "staging", Rollout: inventory.Rollout{MaxParallel: 50,
		Unreachable: inventory.UnreachableFail, OnFailure: inventory.RollbackAll}}
	var known strings.Builder
	for i := range n {
		name := fmt.Sprintf("web-%d", i+1)
		h, err := sshtest.New(name, sshtest.Options{AuthorizedKey: public})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		f.hosts[name] = h
		env.Hosts = append(env.Hosts, &inventory.Host{Name: name, Services: []string{"web"}})
		fmt.Fprintln(&known, h.KnownHostsLine())
		if old != "" {
			f.install(h, webPath, old)
		}
	}
	f.write(f.known, known.String())
	f.order = Order{Plan: Deploy(), Environment: env, Hosts: env.Hosts, Services: []*inventory.Service{web(fresh)}}
	f.runner = &Runner{Connect: f.connect, Emit: f.emit, Owner: "tester@here", Token: f.token, pause: time.Millisecond,
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }}
	return f
}

func (f *fleet) newKey() ssh.PublicKey {
	f.t.Helper()
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(f.key, string(pem.EncodeToMemory(block)))
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		f.t.Fatal(err)
	}
	return public
}

func (f *fleet) write(path, text string) {
	f.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// install puts a unit on a host that runs and starts at boot.
func (f *fleet) install(h *sshtest.Host, path, text string) {
	f.t.Helper()
	name := filepath.Base(path)
	err := errors.Join(h.WriteFile(path, []byte(text), 0o644, "root", "root"), h.StartUnit(name), h.EnableUnit(name))
	if err != nil {
		f.t.Fatal(err)
	}
}

// token is long enough to be cut; every one is another.
func (f *fleet) token() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens++
	return fmt.Sprintf("%016x", f.tokens)
}

func (f *fleet) connect(ctx context.Context, h *inventory.Host) (*remote.Conn, error) {
	f.mu.Lock()
	err := f.down[h.Name]
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	host := remote.Host{Name: h.Name, Address: f.hosts[h.Name].Addr(), User: "deploy", ConnectTimeout: 20 * time.Second,
		IdentityFiles: []string{f.key}, KnownHosts: []string{f.known}}
	return f.dial.Dial(ctx, host)
}

// unplug makes connecting to a host fail from now on.
func (f *fleet) unplug(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down[name] = &remote.Error{Host: name, Op: "connect", Err: remote.ErrUnreachable, Detail: "unplugged"}
}

func (f *fleet) plugIn(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.down, name)
}

func (f *fleet) emit(e Event) {
	f.mu.Lock()
	f.events = append(f.events, e)
	n, each := len(f.events), f.each
	f.mu.Unlock()
	if each != nil {
		each(n, e)
	}
}

// run carries the order out.
func (f *fleet) run(ctx context.Context) int {
	run := f.runner.Survey(ctx, f.order)
	defer run.Close()
	return run.Do(ctx)
}

// forget clears the events, for the next run.
func (f *fleet) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = nil
}

func (f *fleet) rollout() *inventory.Rollout { return &f.order.Environment.Rollout }

// results are the hosts' results in the last event.
func (f *fleet) results() []HostResult {
	f.t.Helper()
	last := f.events[len(f.events)-1]
	if last.Type != RunFinished {
		f.t.Fatalf("the last event is %s", last.Type)
	}
	return last.Hosts
}

func (f *fleet) result(host string) HostResult {
	f.t.Helper()
	i := slices.IndexFunc(f.results(), func(r HostResult) bool { return r.Host == host })
	if i < 0 {
		f.t.Fatalf("no result of %s", host)
	}
	return f.results()[i]
}

// outcomes in one line, in the order of the hosts.
func (f *fleet) outcomes() string {
	f.t.Helper()
	var all []string
	for _, r := range f.results() {
		all = append(all, string(r.Outcome))
	}
	return strings.Join(all, " ")
}

// line is an event as the golden lists have it: what differs from run to run is left out.
func line(e Event) string {
	words := []string{string(e.Type)}
	for _, w := range []string{e.Host, e.Step, string(e.Status), string(e.Kind), e.Check, string(e.Outcome)} {
		if w != "" {
			words = append(words, w)
		}
	}
	if e.Wave > 0 {
		words = append(words, fmt.Sprint(e.Wave))
	}
	if e.Members != nil {
		words = append(words, strings.Join(e.Members, ","))
	}
	if e.ExitCode != nil {
		words = append(words, fmt.Sprint("exit ", *e.ExitCode))
	}
	return strings.Join(words, " ")
}

func lines(events []Event) []string {
	var all []string
	for _, e := range events {
		all = append(all, line(e))
	}
	return all
}

// runs fails the test unless the host runs exactly the text, from /etc, with nothing left of a transaction.
func (f *fleet) runs(host, text string) {
	f.t.Helper()
	if err := running(f.hosts[host], text); err != nil {
		f.t.Errorf("%s: %v", host, err)
	}
}

// running is nil when exactly this unit is installed and runs, and nothing is left of a transaction. An empty text: no
// unit at all.
func running(h *sshtest.Host, text string) error {
	u := h.Unit("web.service")
	if text == "" {
		if h.Exists(webPath) || u.MainPID != 0 || u.Load != "not-found" {
			return fmt.Errorf("there is still a unit: %+v", u)
		}
		return leftovers(h)
	}
	installed, err := h.ReadFile(webPath)
	switch {
	case err != nil:
		return err
	case string(installed) != text:
		return fmt.Errorf("installed is\n%s", installed)
	case u.Active != "active" || u.Sub != "running":
		return fmt.Errorf("web.service is %s/%s: %s", u.Active, u.Sub, u.Result)
	case u.Running != text || u.FragmentPath != webPath:
		return fmt.Errorf("from %s runs\n%s", u.FragmentPath, u.Running)
	}
	return leftovers(h)
}

// leftovers names what a finished transaction must not leave.
func leftovers(h *sshtest.Host) error {
	left := append(h.List("/run/systemd/system.control"), h.List("/run/seatrial")...)
	for _, path := range h.List("/etc/") {
		if strings.Contains(path, "seatrial") && !strings.HasPrefix(path, "/etc/seatrial/") || strings.HasSuffix(path, ".tmp") {
			left = append(left, path)
		}
	}
	for _, name := range h.Units() {
		if strings.HasPrefix(name, "seatrial-guard") {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		return leftBehind(left)
	}
	return nil
}

// leftBehind is what is still there of a transaction on a host that runs what it should.
type leftBehind []string

func (l leftBehind) Error() string { return "left behind: " + strings.Join(l, ", ") }

// record is a value of the host's record of the service.
func record(h *sshtest.Host, key string) string {
	text, _ := h.ReadFile("/var/lib/seatrial/web/record")
	for _, l := range strings.Split(string(text), "\n") {
		if v, ok := strings.CutPrefix(l, key+"="); ok {
			return v
		}
	}
	return ""
}
