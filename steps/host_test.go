package steps

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/remote/sshtest"
)

// The scripts, on embedded hosts: each verb's good path, each way in which it fails, and what is on the host afterwards.

const (
	trialDir = "/run/systemd/system.control/"
	stateDir = "/var/lib/seatrial/web/"
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

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// bench is one host, a helper on it, and a transaction.
type bench struct {
	t      *testing.T
	host   *sshtest.Host
	conn   *remote.Conn
	helper *remote.Helper
	tx     Transaction
	said   []remote.Reply // by the last requests
}

// newBench makes a host on which the old unit runs (none if empty), and a transaction to the fresh one.
func newBench(t *testing.T, old, fresh string) *bench {
	t.Helper()
	h, err := sshtest.New("web-1", sshtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	b := &bench{t: t, host: h, tx: Transaction{
		Service: Service{Name: "web", Runs: []Run{{"web.service", webPath}}, StartTimeout: 30 * time.Second, Window: 2 * time.Second,
			Verify: Verification{Listen: []string{address}, Timeout: 5 * time.Second}},
		Token: "tok", Owner: "me@here pid 1", Since: "now", Release: "r2", Lease: time.Minute,
	}}
	b.file(webPath, fresh)
	if old != "" {
		b.install(webPath, old)
	}
	b.connect()
	return b
}

// file adds a file to the release.
func (b *bench) file(path, content string) {
	b.tx.Service.Files = append(b.tx.Service.Files, File{Path: path, Content: []byte(content), Digest: digestOf(content)})
}

func (b *bench) put(path, content string) {
	b.t.Helper()
	if err := b.host.WriteFile(path, []byte(content), 0o644, "root", "root"); err != nil {
		b.t.Fatal(err)
	}
}

// install puts a unit on the host that runs and starts at boot.
func (b *bench) install(path, text string, instances ...string) {
	b.t.Helper()
	b.put(path, text)
	b.host.DaemonReload()
	if instances == nil {
		instances = []string{filepath.Base(path)}
	}
	for _, name := range instances {
		if err := errors.Join(b.host.StartUnit(name), b.host.EnableUnit(name)); err != nil {
			b.t.Fatal(err)
		}
	}
}

// connect opens a connection with a helper, beside those that there are.
func (b *bench) connect() {
	b.t.Helper()
	dir := b.t.TempDir()
	key, known := filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	if err := errors.Join(os.WriteFile(key, b.host.ClientKeyPEM(), 0o600), os.WriteFile(known, []byte(b.host.KnownHostsLine()+"\n"), 0o600)); err != nil {
		b.t.Fatal(err)
	}
	d := &remote.Dialer{Home: dir}
	conn, err := d.Dial(b.t.Context(), remote.Host{Name: "web-1", Address: b.host.Addr(), User: "deploy", ConnectTimeout: 20 * time.Second,
		IdentityFiles: []string{key}, KnownHosts: []string{known}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	if b.helper, err = conn.Helper(b.t.Context(), Program(), nil); err != nil {
		b.t.Fatal(err)
	}
	b.conn = conn
}

// ask sends requests one after the other until one fails, and gives the last status.
func (b *bench) ask(requests ...remote.Request) int {
	b.t.Helper()
	b.said = nil
	for _, r := range requests {
		results, err := b.helper.Do(b.t.Context(), []remote.Request{r}, func(r remote.Reply) { b.said = append(b.said, r) })
		if err != nil {
			b.t.Fatal(err)
		}
		if results[0].Code != 0 {
			return results[0].Code
		}
	}
	return 0
}

// do does steps until one fails, and gives its status.
func (b *bench) do(all ...Step) int {
	b.t.Helper()
	for _, s := range all {
		if code := b.ask(s.Requests(b.tx)...); code != 0 {
			return code
		}
	}
	return 0
}

// must does steps that must go well.
func (b *bench) must(all ...Step) {
	b.t.Helper()
	if code := b.do(all...); code != 0 {
		b.t.Fatalf("status %d: %v\n%s", code, b.said, b.helper.Stderr())
	}
}

// facts takes the facts, as a run does before it locks.
func (b *bench) facts() Facts {
	b.t.Helper()
	if code := b.ask(FactsRequest(b.tx.Service)); code != 0 {
		b.t.Fatalf("facts: status %d", code)
	}
	f, err := ParseFacts(b.says("facts"))
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

// upTo does the steps of a deploy until the transaction is in the state.
func (b *bench) upTo(state string) {
	b.t.Helper()
	b.tx.Facts = b.facts()
	all := []struct {
		state string
		steps []Step
	}{{"LOCKED", []Step{Lock{}}}, {"ARMED", []Step{Guard{}}}, {"STAGED", []Step{UnitCopy{}}}, {"TRIAL", []Step{Trial{}}},
		{"STARTED", []Step{Reload{}, Start{}}}, {"SETTLED", []Step{Settle{}, Verify{}}}, {"COMMITTED", []Step{Commit{}}}}
	for _, s := range all {
		b.must(s.steps...)
		if s.state == state {
			return
		}
	}
}

// says is the last reply with the key.
func (b *bench) says(key string) string {
	for _, r := range slices.Backward(b.said) {
		if r.Key == key {
			return r.Text
		}
	}
	return ""
}

// state is the record's.
func (b *bench) state() string { return b.record("state") }

func (b *bench) record(key string) string {
	text, _ := b.host.ReadFile(stateDir + "record")
	for _, l := range strings.Split(string(text), "\n") {
		if v, ok := strings.CutPrefix(l, key+"="); ok {
			return v
		}
	}
	return ""
}

func (b *bench) read(path string) string {
	text, _ := b.host.ReadFile(path)
	return string(text)
}

// runs fails the test unless exactly this is installed and runs, and nothing of a transaction is left. Empty: no unit.
func (b *bench) runs(text string) {
	b.t.Helper()
	b.unitRuns("web.service", webPath, text)
	b.nothingLeft()
}

func (b *bench) unitRuns(name, path, text string) {
	b.t.Helper()
	u := b.host.Unit(name)
	switch {
	case text == "" && (b.host.Exists(path) || u.MainPID != 0 || u.Load != "not-found"):
		b.t.Errorf("there is still a %s: %+v", name, u)
	case text == "":
	case b.read(path) != text:
		b.t.Errorf("installed as %s is\n%s", path, b.read(path))
	case u.Active != "active" || u.Running != text || u.FragmentPath != path:
		b.t.Errorf("%s is %s/%s (%s), and from %s runs\n%s", name, u.Active, u.Sub, u.Result, u.FragmentPath, u.Running)
	}
}

// nothingLeft fails the test when something of a transaction is still there.
func (b *bench) nothingLeft() {
	b.t.Helper()
	left := append(b.host.List("/run/systemd/system.control"), b.host.List("/run/seatrial")...)
	for _, path := range b.host.List("/etc/") {
		if strings.Contains(path, "seatrial") || strings.HasSuffix(path, ".tmp") {
			left = append(left, path)
		}
	}
	for _, name := range b.host.Units() {
		if strings.HasPrefix(name, "seatrial-guard") && b.host.Unit(name).Active != "inactive" {
			left = append(left, name)
		}
	}
	if len(left) > 0 {
		b.t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// writeRecord builds a record by hand, as a script that was killed in between would have left it.
func (b *bench) writeRecord(state string, more ...string) {
	b.t.Helper()
	text := b.read(stateDir + "record")
	text = strings.Replace(text, "state="+b.state()+"\n", "state="+state+"\n", 1)
	b.put(stateDir+"record", text+strings.Join(more, ""))
}

func (b *bench) expect(code, want int, words string) {
	b.t.Helper()
	if code != want || !strings.Contains(b.says("error"), words) {
		b.t.Errorf("status %d (%q), want %d with %q\n%s", code, b.says("error"), want, words, b.helper.Stderr())
	}
}

func (b *bench) expectState(want string) {
	b.t.Helper()
	if got := b.state(); got != want {
		b.t.Errorf("the record is in state %s, want %s", got, want)
	}
}

func (b *bench) history() string {
	var all []string
	for _, l := range strings.Split(strings.TrimSpace(b.read(stateDir+"history")), "\n") {
		words := strings.Fields(l)
		if len(words) > 1 {
			all = append(all, fmt.Sprintf("%s %s", words[0], words[1]))
		}
	}
	return strings.Join(all, ", ")
}
