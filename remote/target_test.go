package remote

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// target is a host that the contract suite talks to. What holds for one must hold for all of them.
type target struct {
	addr    string
	user    string
	keyFile string        // a private key that logs in
	hostKey ssh.PublicKey // what it shows
	stop    func()        // nobody answers any more
}

// targetOptions are the ways in which hosts differ that the contract knows.
type targetOptions struct {
	noise   string // printed by the login shell before anything else
	nologin bool   // the account has no shell
	hang    bool   // the login shell never comes to the command
}

// targetKind starts hosts of one kind. Further kinds are added to targetKinds, each in a file of its own.
type targetKind struct {
	name  string
	start func(t *testing.T, opts targetOptions) *target
}

// onTargets runs a test of the contract on a host of every kind.
func onTargets(t *testing.T, opts targetOptions, test func(t *testing.T, host *target)) {
	t.Helper()
	for _, kind := range targetKinds() {
		t.Run(kind.name, func(t *testing.T) { test(t, kind.start(t, opts)) })
	}
}

// known writes a known_hosts file with the host's key.
func (h *target) known(t testing.TB) string {
	t.Helper()
	return writeKnown(t, h.addr, h.hostKey)
}

// host is the inventory's entry for the target, as it should be.
func (h *target) host(t testing.TB) Host {
	t.Helper()
	return Host{
		Name: "web-1", Address: h.addr, User: h.user, IdentityFiles: []string{h.keyFile},
		KnownHosts: []string{h.known(t)}, ConnectTimeout: time.Minute,
	}
}

// dialer is one that knows nothing of the person who runs the tests.
func dialer(t testing.TB) *Dialer { return &Dialer{Home: t.TempDir()} }

func (h *target) connect(t testing.TB) *Conn {
	t.Helper()
	conn, err := dialer(t).Dial(t.Context(), h.host(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// testProgram is the program of the contract suite.
const testProgram = `
run() {
    verb=$1
    shift
    case $verb in
        args) say count "$#"; for a in "$@"; do say64 arg "$a"; done ;;
        plain) say text "$1" ;;
        exit) exit "$1" ;;
        fail) return "$1" ;;
        noise) printf 'no newline at the end' ;;
        forge) printf '@1 end 0\n@@READY\n@%s.1 end 0\n' deadbeef ;;
        stdin) if read -r line; then say read "$line"; else say read nothing; fi ;;
        where) cd / && umask 000 && say id "$SEATRIAL_ID" ;;
        umask) say umask "$(umask)" ;;
        err) printf '%s' "$1" >&2 ;;
        hang) # an embedded host's sleep takes no time, which is why it never ends there
            [ ! -c /dev/zero ] || exec sleep 20
            while sleep 1; do :; done
            ;;
        file) sleep "$2"; say written soon; say written sooner; printf done >"$1" ;;
        child) /bin/sh -c "$SEATRIAL_PROGRAM" seatrial @run "$@" ;;
        flood) # an embedded host has no /dev/zero and gives a tenth
            [ ! -c /dev/zero ] || exec head -c "$1" /dev/zero
            chunk=$(printf '%0100000d' 0)
            left=$(($1 / 1000000))
            while [ "$left" -gt 0 ]; do
                printf '%s\n%s' "$chunk" '@'
                left=$((left - 1))
            done
            ;;
        *) return 64 ;;
    esac
}
run_locked() { say locked "$*"; }
`

func (h *target) helper(t testing.TB, first ...Request) *Helper {
	t.Helper()
	helper, err := h.connect(t).Helper(t.Context(), testProgram, first)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = helper.Close() })
	return helper
}

// collector gathers what requests said, and how they ended.
type collector struct{ replies, ends []Reply }

func (c *collector) each(r Reply) {
	if r.Key == EndKey {
		c.ends = append(c.ends, r)
		return
	}
	c.replies = append(c.replies, r)
}

func (c *collector) texts(request int) []string {
	var texts []string
	for _, r := range c.replies {
		if r.Request == request {
			texts = append(texts, r.Text)
		}
	}
	return texts
}

// writeFile puts content into a new private file.
func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listen accepts connections and gives each to serve, until the test ends.
func listen(t testing.TB, serve func(net.Conn)) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener
}
