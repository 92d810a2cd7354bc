package remote

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	skeema "github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

func TestUnreadableLines(t *testing.T) {
	_, key := newKey(t, t.TempDir(), "host")
	good := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	for line, readable := range map[string]bool{
		"":              true,
		"# a comment":   true,
		"web-1 " + good: true,
		"web-1,192.0.2.1,[web-1]:2222 " + good + " comment":                    true,
		skeema.Line([]string{"web-1"}, key):                                    true,
		"|1|JfKTdBh7rNbXkVAQCRp4OQoPfmI=|USECr3SWf1JUPsms5AqfD5QfxkM= " + good: true,
		"@cert-authority *.example.com " + good:                                true,
		"@revoked * " + good:                                                   true,
		"web-1 ssh-future AAAA":                                                false,
		"web-1 ssh-rsa !!!":                                                    false,
		"web-1 ssh-rsa " + strings.Fields(good)[1]:                             false,
		"web-1 ssh-ed25519":                                                    false,
		"web-1":                                                                false,
		"|2|a|b " + good:                                                       false,
		"|1|!|b " + good:                                                       false,
		"@unknown web-1 " + good:                                               false,
		"@revoked @cert-authority * " + good:                                   false,
		"[web-1:22 " + good:                                                    false,
		"web-1,! " + good:                                                      false,
		"web-1 " + good + strings.Repeat(" ", 10) + strings.Repeat("x", 70000): false,
	} {
		t.Run("", func(t *testing.T) {
			if strings.HasPrefix(line, "@revoked") && !readable {
				return
			}
			file := writeFile(t, "known_hosts", []byte("first "+good+"\n"+line+"\nlast "+good+"\n"))
			keys, err := readHostKeys([]string{file})
			if err != nil {
				t.Fatalf("%.80q: %v", line, err)
			}
			if got := len(keys.skipped) == 0; got != readable {
				t.Errorf("%.80q: readable %v", line, got)
			}
			if len(keys.db.HostKeys("first:22")) != 1 || len(keys.db.HostKeys("last:22")) != 1 {
				t.Errorf("%.80q: the lines around it are lost", line)
			}
		})
	}
}

func TestUnreadableRevokedLine(t *testing.T) {
	for _, line := range []string{"@revoked * ssh-rsa !!!", "@revoked", "  @revoked @cert-authority * ssh-rsa AAAA"} {
		host := plainHost(t, "127.0.0.1:1")
		host.KnownHosts = []string{writeFile(t, "k", []byte("# x\n"+line+"\n"))}
		_, err := dialer(t).Dial(t.Context(), host)
		wantError(t, err, ErrConfig, "k:2", "@revoked")
	}
}

func TestSkippedLinesAreNamed(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		entry := host.host(t)
		entry.KnownHosts = []string{writeFile(t, "k", []byte("# x\n"+host.addr+" ssh-future AAAA\n"))}
		_, err := dialer(t).Dial(t.Context(), entry)
		wantError(t, err, ErrUnknownHostKey, "cannot be read", "k:2")
	})
}

func TestKnownHostsAreReadAgainWhenChanged(t *testing.T) {
	_, key := newKey(t, t.TempDir(), "host")
	file := writeFile(t, "known_hosts", nil)
	d := dialer(t)
	d.init()
	end := &endpoint{name: "web-1", knownHosts: []string{file}}
	before, err := d.knownKeys(end)
	must(t, err)
	if again, _ := d.knownKeys(end); again != before {
		t.Error("read twice")
	}
	must(t, os.WriteFile(file, []byte(skeema.Line([]string{"web-1"}, key)), 0o600))
	after, err := d.knownKeys(end)
	must(t, err)
	if len(after.db.HostKeys("web-1:22")) != 1 {
		t.Error("a key that was just added is not seen")
	}
}

// A host has several keys; it must be asked for one that is known, or the check fails for no reason.
func TestKnownAlgorithmsComeFirst(t *testing.T) {
	_, key := newKey(t, t.TempDir(), "host")
	line := skeema.Line([]string{"web-1"}, key)
	secure := ssh.SupportedAlgorithms().HostKeys
	for _, test := range []struct{ name, known, pin, first string }{
		{"known", line, "", ssh.KeyAlgoED25519},
		{"authority", "@cert-authority " + line, "", ssh.CertAlgoED25519v01},
		{"authority and pin", "@cert-authority " + line, "SHA256:x", secure0(secure)},
		{"unknown", "", "", secure0(secure)},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, err := readHostKeys([]string{writeFile(t, "k", []byte(test.known))})
			must(t, err)
			check := &keyCheck{keys: keys, end: &endpoint{keyName: "web-1:22", pin: test.pin}}
			algorithms := check.algorithms()
			if algorithms[0] != test.first {
				t.Error(algorithms)
			}
			seen := make(map[string]bool)
			for _, a := range algorithms {
				if seen[a] {
					t.Error("twice:", a)
				}
				seen[a] = true
			}
			if !seen[ssh.KeyAlgoED25519] || !seen[ssh.KeyAlgoRSASHA512] || seen[ssh.KeyAlgoRSA] {
				t.Error(algorithms)
			}
		})
	}
}

// secure0 is the first algorithm that is not for certificates.
func secure0(algorithms []string) string {
	for _, a := range algorithms {
		if !isCertificate(a) {
			return a
		}
	}
	return ""
}

func TestCaptureKeepsBothEnds(t *testing.T) {
	for _, test := range []struct {
		writes, size int
		whole        bool
	}{{1, 10, true}, {2, captureLimit, true}, {100, 1001, true}, {3, captureLimit, false}, {1, 10 * captureLimit, false}, {1000, 997, false}} {
		var c capture
		var all strings.Builder
		for i := range test.writes {
			part := strings.Repeat(string(rune('a'+i%26)), test.size)
			all.WriteString(part)
			if n, err := c.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		text := all.String()
		want := text
		if !test.whole {
			want = text[:captureLimit] + "|" + text[len(text)-captureLimit:]
		}
		got := c.String()
		if head, rest, cut := strings.Cut(got, "\n... "); cut {
			_, tail, _ := strings.Cut(rest, "...\n")
			got = head + "|" + tail
		}
		if diff := cmp.Diff(len(want), len(got)); diff != "" || got != want {
			t.Errorf("%d writes of %d: %s", test.writes, test.size, diff)
		}
	}
}
