package remote

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	skeema "github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// HostKey is a key that a host has shown, for a person to judge.
type HostKey struct {
	Type        string // "ssh-ed25519"
	Fingerprint string // "SHA256:..."
	Known       bool   // the host is trusted already, by a known_hosts file or by the inventory's pin
	File        string // the known_hosts file where it belongs
	Line        string // what to write there
}

// errSeen ends a handshake that was only made to see the key.
var errSeen = errors.New("host key seen")

// ShowHostKey asks a host for its key without logging in. A key that is another than the expected one, or revoked, is an
// error here as well: consent must not be asked for that. Bastions on the way are checked and logged in to as always.
func (d *Dialer) ShowHostKey(ctx context.Context, host Host) (HostKey, error) {
	d.init()
	route, err := d.route(ctx, host)
	if err != nil {
		return HostKey{}, err
	}
	var shown HostKey
	route[len(route)-1].show = &shown
	conn, err := d.dialRoute(ctx, route)
	if err == nil {
		_ = conn.Close() // cannot be: nobody was logged in
	}
	if shown.Line != "" {
		return shown, nil
	}
	return HostKey{}, err
}

// see notes the key instead of going on, unless it is one that nobody should trust.
func (k *keyCheck) see(key ssh.PublicKey) error {
	if k.failure != nil && !errors.Is(k.failure, ErrUnknownHostKey) {
		return k.failure
	}
	*k.end.show = HostKey{
		Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key), Known: k.failure == nil,
		Line: skeema.Line([]string{k.end.keyName}, key),
	}
	if len(k.end.knownHosts) > 0 {
		k.end.show.File = k.end.knownHosts[0]
	}
	return errSeen
}

// Trust appends keys to their known_hosts files, which it makes if they are not there.
func Trust(keys []HostKey) error {
	for _, key := range keys {
		if key.Known {
			continue
		}
		if err := appendLine(key.File, key.Line); err != nil {
			return err
		}
	}
	return nil
}

// appendLine writes a line in one write, so that others who append at the same time do no harm.
func appendLine(file, line string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(content) > 0 && !strings.HasSuffix(string(content), "\n") {
		line = "\n" + line
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line + "\n")
	return errors.Join(err, f.Close())
}
