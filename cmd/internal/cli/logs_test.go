//go:build unix

package cli

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/remote/sshtest"
)

// journalHosts are hosts that run app.service, each behind a wire that can be cut, and their inventory.
func journalHosts(t *testing.T, names ...string) (hosts []*sshtest.Host, wires []*wire, file string) {
	t.Helper()
	dir := t.TempDir()
	known, text := "", "[services.app]\nunit = \"app.service\"\n"
	var keys []string
	for _, name := range names {
		h, err := sshtest.New(name, sshtest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		install(t, h, "[Service]\nExecStart=/srv/app\n")
		w := newWire(t, h.Addr())
		hosts, wires = append(hosts, h), append(wires, w)
		text += fmt.Sprintf("[[environments.staging.hosts]]\nname = %q\naddress = %q\n", name, w.listener.Addr())
		known += strings.Replace(h.KnownHostsLine(), h.Addr()[strings.LastIndex(h.Addr(), ":"):], w.port(), 1) + "\n"
		keys = append(keys, fmt.Sprintf("%q", name+".key"))
		write(t, filepath.Join(dir, name+".key"), string(h.ClientKeyPEM()))
	}
	write(t, filepath.Join(dir, "known_hosts"), known)
	write(t, filepath.Join(dir, "app.service"), "[Service]\nExecStart=/srv/app\n")
	write(t, filepath.Join(dir, "inventory.toml"), fmt.Sprintf("ssh = { user = \"deploy\", identity_files = [%s], known_hosts = [\"known_hosts\"], use_ssh_config = false }\n%s",
		strings.Join(keys, ", "), text))
	return hosts, wires, filepath.Join(dir, "inventory.toml")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wire carries connections to an address, until it is cut.
type wire struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: to}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			w.carry(from)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done; w.cut() })
	return w
}

func (w *wire) port() string {
	return w.listener.Addr().String()[strings.LastIndex(w.listener.Addr().String(), ":"):]
}

func (w *wire) carry(from net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	to, err := net.Dial("tcp", w.to)
	if err != nil || w.isCut {
		_ = from.Close()
		return
	}
	w.conns = append(w.conns, from, to)
	go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
	go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for _, c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}

func logsOf(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := Main(append([]string{"seatrial", "logs", "staging"}, args...), strings.NewReader(""), &out, &errs); code != 0 || errs.Len() > 0 {
		t.Fatalf("exit code %d\n%s", code, &errs)
	}
	return out.String()
}

// TestLogsAreMerged by time, a journal's own order kept; what could drive a terminal is taken out, and text stays whole.
func TestLogsAreMerged(t *testing.T) {
	hosts, _, file := journalHosts(t, "a", "long-name")
	at := time.Date(2035, 10, 28, 0, 59, 58, 0, time.UTC) // in many zones the clock is set back a second later
	say := func(h int, text string, seconds int) {
		hosts[h].Say("app.service", text, at.Add(time.Duration(seconds)*time.Second))
	}
	say(0, "first", 0)
	say(1, "second", 1)
	say(0, "third\nof two lines", 2)
	say(0, "its clock was set back", -7)
	say(1, "fourth \x1b[2J\xff\xfe grüße", 3)
	got := regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}`).ReplaceAllString(logsOf(t, "-n", "3", "--inventory", file), "TIME")
	want := `a          TIME app[1000]: first
long-name  TIME app[1000]: second
a          TIME app[1000]: third
a          TIME app[1000]: of two lines
a          TIME app[1000]: its clock was set back
long-name  TIME app[1000]: fourth ?[2J? grüße
`
	_, got, _ = strings.Cut(got, "\n") // the line of long-name's start
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLogsOfManyPages: what does not fit into one answer is asked for in several; nothing is lost, doubled or cut.
func TestLogsOfManyPages(t *testing.T) {
	hosts, _, file := journalHosts(t, "a")
	at := time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC)
	var want []string
	for i := range 3000 {
		text := fmt.Sprintf("%d %s", i, strings.Repeat("ü日", 80+i%7))
		hosts[0].Say("app.service", text, at.Add(time.Duration(i)*time.Millisecond))
		want = append(want, text)
	}
	hosts[0].Say("app.service", strings.Repeat("x", 900_000), at.Add(time.Hour))
	hosts[0].Say("app.service", "after a text that is too long", at.Add(time.Hour))
	want = append(want, "(a long text)", "after a text that is too long")
	var got []string
	for line := range strings.Lines(logsOf(t, "-n", "3002", "--inventory", file)) {
		_, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "]: ")
		got = append(got, text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%d entries; -want +got:\n%.2000s", len(got), diff)
	}
}

// TestLogsFollow: only what is new is shown; a host that goes away is said once and joins again where it was; Ctrl-C is no
// failure.
func TestLogsFollow(t *testing.T) {
	hosts, wires, file := journalHosts(t, "a", "b")
	wires[1].cut()
	out, errs := newListener(), newListener()
	code := make(chan int, 1)
	go func() {
		code <- Main([]string{"seatrial", "logs", "staging", "-n", "0", "-f", "--inventory", file}, strings.NewReader(""), out, errs)
	}()
	errs.wait(t, "seatrial: b: connect: host cannot be reached")
	hosts[1].Say("app.service", "b was away", time.Time{})
	keepSaying(t, hosts[0], "a speaks", out)
	wires[1].mend()
	errs.wait(t, "seatrial: b: the host is back")
	keepSaying(t, hosts[1], "b speaks", out)
	wires[0].cut()
	errs.wait(t, "seatrial: a: ")
	hosts[0].Say("app.service", "a was away", time.Time{})
	wires[0].mend()
	out.wait(t, "a was away")
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != 0 {
		t.Errorf("exit code %d\n%s", got, errs.text())
	}
	if strings.Contains(out.text(), "Started app.service") || strings.Contains(out.text(), "b was away") {
		t.Errorf("what was there before is shown:\n%s", out.text())
	}
	if n := strings.Count(errs.text(), "it joins again when it is back"); n != 2 {
		t.Errorf("it is said %d times that a host is away, of two:\n%s", n, errs.text())
	}
}

// keepSaying something until it is shown: nobody knows when the journal is first looked at.
func keepSaying(t *testing.T, h *sshtest.Host, text string, out *listener) {
	t.Helper()
	for !strings.Contains(out.text(), text) {
		h.Say("app.service", text, time.Time{})
		out.more(t)
	}
}

// listener is a stream that can be waited for.
type listener struct {
	mu     sync.Mutex
	b      strings.Builder
	spoken chan struct{}
}

func newListener() *listener { return &listener{spoken: make(chan struct{}, 1)} }

func (l *listener) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(b)
	select {
	case l.spoken <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (l *listener) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// more waits for more text, or a moment.
func (l *listener) more(t *testing.T) {
	t.Helper()
	select {
	case <-l.spoken:
	case <-time.After(100 * time.Millisecond):
	case <-t.Context().Done():
		t.Fatal("the test is over")
	}
}

func (l *listener) wait(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(l.text(), text) {
		l.more(t)
	}
}
