package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// startAgent runs an ssh agent that holds the keys of the files.
func startAgent(t testing.TB, files ...string) (socket string) {
	t.Helper()
	keyring := agent.NewKeyring()
	for _, file := range files {
		key, err := ssh.ParseRawPrivateKey(readOrNothing(file))
		must(t, err)
		must(t, keyring.Add(agent.AddedKey{PrivateKey: key}))
	}
	socket = filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { _ = agent.ServeAgent(keyring, conn); _ = conn.Close() })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); running.Wait() })
	return socket
}

// lockedKey is a key file with a passphrase, and the same key without one.
func lockedKey(t testing.TB) (locked, open string, key ssh.PublicKey) {
	t.Helper()
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("secret"))
	must(t, err)
	locked = filepath.Join(dir, "locked")
	must(t, os.WriteFile(locked, pem.EncodeToMemory(block), 0o600))
	block, err = ssh.MarshalPrivateKey(private, "")
	must(t, err)
	open = filepath.Join(dir, "open")
	must(t, os.WriteFile(open, pem.EncodeToMemory(block), 0o600))
	key, err = ssh.NewPublicKey(public)
	must(t, err)
	return locked, open, key
}

func TestKeysAreOfferedInOrder(t *testing.T) {
	dir := t.TempDir()
	var files []string
	var keys []ssh.PublicKey
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		file, key := newKey(t, dir, name)
		files, keys = append(files, file), append(keys, key)
	}
	locked, open, lockedPublic := lockedKey(t)
	onlyPublic := writeFile(t, "b.pub", ssh.MarshalAuthorizedKey(keys[1]))
	for _, test := range []struct {
		name  string
		ids   []string
		agent []string
		only  bool
		want  []ssh.PublicKey
	}{
		{"files", files[:2], nil, false, keys[:2]},
		{"agent", nil, files[:2], false, keys[:2]},
		{"files before the agent's", files[2:3], files[:2], false, []ssh.PublicKey{keys[2], keys[0], keys[1]}},
		{"each once", files[1:2], files[:2], false, []ssh.PublicKey{keys[1], keys[0]}},
		{"the configured only", files[1:2], files[:2], true, keys[1:2]},
		{"not more than sshd counts", files[:3], files[3:], false, keys[:5]},
		{"a passphrase, in the agent", []string{locked}, []string{files[0], open}, true, []ssh.PublicKey{lockedPublic}},
		{"the public half, in the agent", []string{onlyPublic}, files[:2], true, keys[1:2]},
	} {
		t.Run(test.name, func(t *testing.T) {
			end := &endpoint{name: "web-1", identitiesOnly: test.only, timeout: defaultConnectTimeout}
			for _, file := range test.ids {
				end.identities = append(end.identities, identity{file, true})
			}
			if test.agent != nil {
				end.agentSocket = startAgent(t, test.agent...)
			}
			l, failure := prepareLogin(t.Context(), end)
			defer l.close()
			if failure != nil {
				t.Fatal(failure)
			}
			signers, err := l.offer()
			must(t, err)
			var got, want []string
			for _, s := range signers {
				got = append(got, ssh.FingerprintSHA256(s.PublicKey()))
			}
			for _, key := range test.want {
				want = append(want, ssh.FingerprintSHA256(key))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	locked, _, _ := lockedKey(t)
	garbage := writeFile(t, "garbage", []byte("not a key"))
	good, _ := newKey(t, t.TempDir(), "good")
	for _, test := range []struct {
		name string
		ids  []string
		say  []string
	}{
		{"missing", []string{"/nonexistent/id"}, []string{"/nonexistent/id", "no such file", "identity_files"}},
		{"missing, another is there", []string{good, "/nonexistent/id"}, []string{"/nonexistent/id"}},
		{"passphrase, no agent", []string{locked}, []string{locked, "passphrase", "ssh-add " + locked}},
		{"not a key", []string{garbage}, []string{garbage, "not a private key"}},
		{"a directory", []string{t.TempDir()}, []string{"is a directory"}},
		{"none at all", nil, []string{"no key to log in with", "ssh-add"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := dialer(t)
			host := plainHost(t, "127.0.0.1:1")
			host.IdentityFiles = test.ids
			_, err := d.Dial(t.Context(), host)
			wantError(t, err, ErrConfig, test.say...)
		})
	}
}

// Of the keys that nobody configured, those that cannot be used are only remembered for when the login fails.
func TestUnusableDefaultKeyIsNoted(t *testing.T) {
	locked, _, _ := lockedKey(t)
	other, _ := newKey(t, t.TempDir(), "other")
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		d := dialer(t)
		must(t, os.MkdirAll(filepath.Join(d.Home, ".ssh"), 0o700))
		must(t, os.Link(locked, filepath.Join(d.Home, ".ssh", "id_rsa")))
		must(t, os.Link(other, filepath.Join(d.Home, ".ssh", "id_ed25519")))
		d.AgentSocket = "/nonexistent/agent"
		entry := host.host(t)
		entry.IdentityFiles = nil
		_, err := d.Dial(t.Context(), entry)
		wantError(t, err, ErrAuth, "id_rsa", "passphrase", "/nonexistent/agent")
	})
}

func TestLoginThroughTheAgent(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		d := dialer(t)
		d.AgentSocket = startAgent(t, host.keyFile)
		entry := host.host(t)
		entry.IdentityFiles = nil
		conn, err := d.Dial(t.Context(), entry)
		must(t, err)
		must(t, conn.Close())
	})
}

// An agent that does not answer must not hold a connection up for ever.
func TestAgentThatHangs(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	defer func() { _ = listener.Close() }()
	d := dialer(t)
	d.AgentSocket = socket
	host := plainHost(t, "127.0.0.1:1")
	host.IdentityFiles, host.ConnectTimeout = nil, 50_000_000
	_, err = d.Dial(t.Context(), host)
	wantError(t, err, ErrConfig, "agent does not tell its keys")
}

func TestCertificateIsOfferedFirst(t *testing.T) {
	dir := t.TempDir()
	file, key := newKey(t, dir, "id")
	authority, _ := newKey(t, dir, "ca")
	ca, err := ssh.ParsePrivateKey(readOrNothing(authority))
	must(t, err)
	cert := &ssh.Certificate{Key: key, CertType: ssh.UserCert, ValidPrincipals: []string{"root"}, ValidBefore: ssh.CertTimeInfinity}
	must(t, cert.SignCert(rand.Reader, ca))
	must(t, os.WriteFile(file+"-cert.pub", ssh.MarshalAuthorizedKey(cert), 0o600))
	l, failure := prepareLogin(t.Context(), &endpoint{identities: []identity{{file, true}}})
	if failure != nil {
		t.Fatal(failure)
	}
	if len(l.signers) != 2 || l.signers[0].PublicKey().Type() != ssh.CertAlgoED25519v01 {
		t.Error(l.names)
	}
}
