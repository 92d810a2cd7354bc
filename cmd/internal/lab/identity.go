package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// clientKey is the line for authorized_keys.
type clientKey []byte

// writeClientKey makes the key that opens every host of this lab and no other.
func (l *Lab) writeClientKey() (clientKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	l.KeyFile = l.path("id_ed25519")
	return writeKey(l.KeyFile, private)
}

// writeIdentity gives a new disk what makes a host different from all others:
// name, machine id, host keys; and lets the lab's key in.
func (h *Host) writeIdentity(key clientKey) error {
	var id [16]byte
	rand.Read(id[:])
	files := map[string]string{
		"/etc/machine-id": hex.EncodeToString(id[:]) + "\n",
		"/etc/hostname":   h.Name + "\n",
		"/etc/hosts":      "127.0.0.1 localhost\n" + h.Addr + " " + h.Name + "\n",
	}
	for _, home := range []string{"/root", "/home/deploy", "/home/locked"} {
		files[home+"/.ssh/authorized_keys"] = string(key)
	}
	var errs error
	for path, content := range files {
		errs = errors.Join(errs, os.WriteFile(h.Path(path), []byte(content), 0o644))
	}
	return errors.Join(errs, h.writeHostKeys())
}

func (h *Host) writeHostKeys() error {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, errEd := writeKey(h.Path("/etc/ssh/ssh_host_ed25519_key"), ed)
	_, errEc := writeKey(h.Path("/etc/ssh/ssh_host_ecdsa_key"), ec)
	return errors.Join(errEd, errEc)
}

// writeKey writes a private key, and beside it the public one, whose line it
// returns.
func writeKey(path string, private crypto.Signer) ([]byte, error) {
	block, err := ssh.MarshalPrivateKey(private, "seatrial lab")
	if err != nil {
		return nil, err
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return nil, err
	}
	line := ssh.MarshalAuthorizedKey(public)
	return line, errors.Join(
		os.WriteFile(path, pem.EncodeToMemory(block), 0o600),
		os.WriteFile(path+".pub", line, 0o644))
}

// writeKnownHosts lists every host key of every host. The hosts need not run.
func (l *Lab) writeKnownHosts() error {
	var lines strings.Builder
	for _, h := range l.Hosts {
		keys, err := filepath.Glob(h.Path("/etc/ssh/ssh_host_*_key.pub"))
		if err != nil {
			return err
		}
		for _, key := range keys {
			line, err := os.ReadFile(key)
			if err != nil {
				return err
			}
			lines.WriteString(h.Addr + " " + string(line))
		}
	}
	l.KnownHostsFile = l.path("known_hosts")
	return os.WriteFile(l.KnownHostsFile, []byte(lines.String()), 0o644)
}
