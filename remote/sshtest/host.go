// Package sshtest is an embedded SSH host: a simulated Linux host with systemd that lives in this process and
// listens on the loopback interface. It runs the product's real host scripts in a shell interpreter, over a file
// tree in memory, with its own coreutils and its own systemd; so tests and `seatrial rehearse` exercise the same
// bytes that a real host would. It never starts a program of the person's machine and never opens one of its files.
//
// Time on such a host is virtual (see clock); what an application does is read from the words of its ExecStart (see
// behaviour); what it cannot do is listed at the top of each file.
package sshtest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Options say what kind of host it is. The zero value is a Debian 12 whose user `deploy` may use sudo.
type Options struct {
	User          string        // who may log in; default deploy
	AuthorizedKey ssh.PublicKey // nil: a key pair is made, see ClientKeyPEM
	Systemd       int           // version, default 252
	Banner        string        // sent before authentication
	Noise         string        // printed by the login shell before anything else
	Nologin       bool          // the account has no shell
	NoSudo        bool          // sudo wants a password
	Silent        bool          // accepts TCP and says nothing
	App           App           // what units run, unless their ExecStart says otherwise
	HTTP          http.Handler  // answers on every address that is listened on; default: 200 and {"ok": true}
	Now           time.Time     // the host's wall clock at the beginning; default: the present
}

// App is what the host's units run.
type App struct {
	Listen []string // IP:PORT or :PORT
}

// Host is one simulated host.
type Host struct {
	name    string
	options Options
	ctx     context.Context
	cancel  context.CancelCauseFunc
	closing sync.Once
	closed  error
	table   map[string]command
	server  *server

	mu       sync.Mutex // guards everything below, nodes of the tree and units
	tree     *tree
	unshared int // mount namespaces so far
	clock    *clock
	systemd  *manager
	journal  []line
	network  *network
	locks    map[string]*process
	faults   map[string]bool
	missing  map[string]bool // users that do not exist
	commands []Command
	boot     string
	pids     int
	ids      int
}

// Command is a program of the person's own (not of the simulated system) that a script ran on the host.
type Command struct {
	Args []string
	User string
	Dir  string
	Env  []string // sorted
}

// errHostClosed ends what runs on a host that is closed.
var errHostClosed = errors.New("the host was closed")

// New starts a host that listens on a loopback port. Close it.
func New(name string, opts Options) (*Host, error) {
	opts = defaults(opts)
	ctx, cancel := context.WithCancelCause(context.Background())
	h := &Host{name: name, options: opts, ctx: ctx, cancel: cancel, locks: map[string]*process{},
		faults: map[string]bool{}, missing: map[string]bool{}, pids: 400, table: table()}
	h.clock = newClock(h, opts.Now.Add(-time.Hour))
	h.tree = newTree(h.clock.stamp)
	h.tree.synthetic, h.tree.refuse = h.synthetic, h.refuse
	if opts.Systemd < 255 {
		h.tree.distribution = "/lib/systemd/system" // Debian's, before it gave up split /usr
	}
	h.network = newNetwork()
	h.systemd = newManager(h)
	h.boot = h.uuid()
	h.furnish()
	server, err := newServer(h)
	if err != nil {
		cancel(err)
		return nil, fmt.Errorf("starting embedded host %s: %w", name, err)
	}
	h.server = server
	return h, nil
}

func defaults(o Options) Options {
	if o.User == "" {
		o.User = "deploy"
	}
	if o.Systemd == 0 {
		o.Systemd = 252
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.HTTP == nil {
		o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintln(w, `{"ok": true}`)
		})
	}
	return o
}

// furnish makes the directories and files that every host has.
func (h *Host) furnish() {
	for _, dir := range []string{"/etc/systemd/system", "/etc/logrotate.d", "/usr/lib/systemd/system", "/usr/bin",
		"/usr/sbin", "/var/lib", "/var/log", "/root", "/tmp", "/dev", "/dev/shm", "/opt", "/srv", "/home"} {
		_ = h.tree.mkdirAll(dir, 0o755, "root")
	}
	h.furnishRun()
	for _, link := range [][2]string{{"usr/bin", "/bin"}, {"usr/sbin", "/sbin"}, {"usr/lib", "/lib"}, {"/run", "/var/run"}} {
		_ = h.tree.symlink(link[0], link[1], "root")
	}
	if h.options.User != "root" {
		_ = h.tree.mkdirAll("/home/"+h.options.User, 0o755, h.options.User)
	}
	device := h.tree.newNode(charDevice, 0o666, "root")
	dev, _ := h.tree.get("/dev", true)
	dev.children["null"] = device
	for _, file := range [][2]string{
		{"/etc/machine-id", h.id() + "\n"}, {"/etc/hostname", h.name + "\n"},
		{"/etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"},
	} {
		_, _ = h.tree.write(file[0], []byte(file[1]), 0o644, "root")
	}
}

func (h *Host) furnishRun() {
	for _, dir := range []string{"/run/systemd/system", "/run/lock"} {
		_ = h.tree.mkdirAll(dir, 0o755, "root")
	}
}

// id is a 128-bit id that is the same in each run of the same host.
func (h *Host) id() string {
	h.ids++
	sum := sha256.Sum256([]byte(h.name + "/" + strconv.Itoa(h.ids)))
	return hex.EncodeToString(sum[:16])
}

func (h *Host) uuid() string {
	id := h.id()
	return strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
}

func (h *Host) pid() int {
	h.pids += 3
	return h.pids
}

// Close ends the connections and everything that runs on the host, and waits for it. A second Close does nothing.
func (h *Host) Close() error {
	h.closing.Do(func() {
		h.cancel(errHostClosed)
		h.closed = h.server.close()
		h.mu.Lock()
		m := h.systemd
		h.mu.Unlock()
		m.background.Wait()
	})
	return h.closed
}

// Name is what the host was called in New.
func (h *Host) Name() string { return h.name }

// Addr is the host's address, IP:PORT.
func (h *Host) Addr() string { return h.server.listener.Addr().String() }

// HostKey is the key that the host proves to have.
func (h *Host) HostKey() ssh.PublicKey { return h.server.hostKey.PublicKey() }

// KnownHostsLine is the host's line for a known_hosts file.
func (h *Host) KnownHostsLine() string {
	host, port, _ := net.SplitHostPort(h.Addr())
	key := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(h.HostKey())))
	return fmt.Sprintf("[%s]:%s %s", host, port, key)
}

// ClientKeyPEM is the private key that may log in, if the host made the pair itself; else nil.
func (h *Host) ClientKeyPEM() []byte { return slices.Clone(h.server.clientKey) }

// Commands lists the person's own commands that scripts ran on the host so far, in order.
func (h *Host) Commands() []Command {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.commands)
}

// NoUser makes a user and group unknown to the host. All other names exist.
func (h *Host) NoUser(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missing[name] = true
}

// newKeyPair makes the pair of a host that was given no key.
func newKeyPair() (ssh.PublicKey, []byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "embedded host")
	if err != nil {
		return nil, nil, err
	}
	public, err := ssh.NewPublicKey(private.Public())
	return public, pem.EncodeToMemory(block), err
}
