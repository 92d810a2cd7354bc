package remote

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestTrust(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		for _, before := range []string{"", "# no newline at the end", "# newline\n"} {
			file := filepath.Join(t.TempDir(), "new", "known_hosts")
			if before != "" {
				must(t, os.MkdirAll(filepath.Dir(file), 0o700))
				must(t, os.WriteFile(file, []byte(before), 0o600))
			}
			entry, d := host.host(t), dialer(t)
			entry.KnownHosts = []string{file}
			keyless := entry
			keyless.IdentityFiles = nil
			key, err := d.ShowHostKey(t.Context(), keyless)
			must(t, err)
			if key.Known || key.Fingerprint != ssh.FingerprintSHA256(host.hostKey) || key.File != file || key.Type != host.hostKey.Type() {
				t.Errorf("%+v", key)
			}
			must(t, Trust([]HostKey{key}))
			conn, err := d.Dial(t.Context(), entry)
			must(t, err)
			must(t, conn.Close())
			key, err = d.ShowHostKey(t.Context(), keyless)
			if err != nil || !key.Known {
				t.Errorf("%+v, %v", key, err)
			}
			must(t, Trust([]HostKey{key}))
			content, err := os.ReadFile(file)
			must(t, err)
			if strings.Count(string(content), key.Line) != 1 || !strings.HasPrefix(string(content), before) {
				t.Errorf("%q", content)
			}
		}
	})
}

func TestTrustIsNotAskedForABadKey(t *testing.T) {
	_, stranger := newKey(t, t.TempDir(), "stranger")
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		entry := host.host(t)
		entry.KnownHosts = []string{writeKnown(t, host.addr, stranger)}
		_, err := dialer(t).ShowHostKey(t.Context(), entry)
		wantError(t, err, ErrHostKeyChanged)
		entry = plainHost(t, "127.0.0.1:1")
		entry.ConnectTimeout = 1
		_, err = dialer(t).ShowHostKey(t.Context(), entry)
		wantError(t, err, ErrUnreachable)
	})
}
