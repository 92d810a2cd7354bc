package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	skeema "github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// targetKinds are all kinds of hosts there are.
func targetKinds() []targetKind {
	return []targetKind{{"openssh", startOpenSSH}, {"embedded", startEmbedded}}
}

// startOpenSSH answers on a port of 127.0.0.1 with a real sshd per connection, logging in as root.
func startOpenSSH(t *testing.T, opts targetOptions) *target {
	t.Helper()
	return startSSHD(t, sshdOptions{targetOptions: opts})
}

// sshdOptions is what only a real sshd can be told.
type sshdOptions struct {
	targetOptions
	config string // more lines of sshd_config
}

func startSSHD(t testing.TB, opts sshdOptions) *target {
	t.Helper()
	sshd := requireSSHD(t)
	dir := t.TempDir()
	hostKeyFile, hostKey := newKey(t, dir, "host")
	keyFile, key := newKey(t, dir, "id")
	must(t, os.WriteFile(filepath.Join(dir, "authorized_keys"), ssh.MarshalAuthorizedKey(key), 0o600))
	config := filepath.Join(dir, "sshd_config")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `
HostKey %s
AuthorizedKeysFile %s/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel ERROR
%s
%s
`, hostKeyFile, dir, forceCommand(dir, opts.targetOptions), opts.config), 0o600))
	listener := serveSSHD(t, sshd, config)
	return &target{
		addr: listener.Addr().String(), user: "root", keyFile: keyFile, hostKey: hostKey,
		stop: func() { _ = listener.Close() },
	}
}

// forceCommand plays the login shells that a host may have.
func forceCommand(dir string, opts targetOptions) string {
	switch {
	case opts.nologin:
		return "ForceCommand echo This account is currently not available.; exit 1"
	case opts.hang:
		return "ForceCommand exec sleep 100"
	case opts.noise != "":
		_ = os.WriteFile(filepath.Join(dir, "noise"), []byte(opts.noise), 0o600)
		return "ForceCommand cat " + dir + `/noise; exec /bin/bash -c "$SSH_ORIGINAL_COMMAND"`
	default:
		return ""
	}
}

// serveSSHD runs one sshd for each connection, and waits for all of them at the end.
func serveSSHD(t testing.TB, sshd, config string) net.Listener {
	t.Helper()
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	var mu sync.Mutex
	var processes []*os.Process
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, p := range processes {
			_ = p.Kill()
		}
	})
	return listen(t, func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		file, err := conn.(*net.TCPConn).File()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = file.Close() }()
		cmd := exec.Command(sshd, "-i", "-f", config)
		cmd.Stdin, cmd.Stdout = file, file
		if err := cmd.Start(); err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		processes = append(processes, cmd.Process)
		mu.Unlock()
		running.Go(func() { _ = cmd.Wait() })
	})
}

// requireSSHD skips loudly where there is no sshd to be had, and fails where CI promised one.
func requireSSHD(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("/usr/sbin/sshd")
	why := ""
	switch {
	case err != nil:
		why = "there is no /usr/sbin/sshd: apt-get install openssh-server"
	case os.Getuid() != 0:
		why = "sshd logs in others only when it runs as root: sudo go test"
	}
	if why == "" {
		must(t, os.MkdirAll("/run/sshd", 0o755))
		return path
	}
	if os.Getenv("SEATRIAL_LAB") == "required" {
		t.Fatal("real sshd required: " + why)
	}
	t.Skip("NOT TESTED on a real sshd: " + why)
	return ""
}

func newKey(t testing.TB, dir, name string) (file string, public ssh.PublicKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	file = filepath.Join(dir, name)
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return file, signer.PublicKey()
}

func writeKnown(t testing.TB, addr string, keys ...ssh.PublicKey) string {
	t.Helper()
	text := ""
	for _, key := range keys {
		text += skeema.Line([]string{addr}, key) + "\n"
	}
	return writeFile(t, "known_hosts", []byte(text))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
