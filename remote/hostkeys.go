package remote

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	skeema "github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys is what a list of known_hosts files says.
type hostKeys struct {
	db      *skeema.HostKeyDB
	files   []string          // as the person knows them
	names   map[string]string // file that was parsed -> file as the person knows it
	skipped []string          // file:line of lines that cannot be read
}

// knownFiles is what was read, with the state of the files at that time.
type knownFiles struct {
	stamp string
	keys  *hostKeys
}

// knownKeys reads the known_hosts files of a host, once for all hosts that share them and again when a file has changed.
func (d *Dialer) knownKeys(end *endpoint) (*hostKeys, error) {
	id := strings.Join(end.knownHosts, "\n")
	d.mu.Lock()
	defer d.mu.Unlock()
	now := stamp(end.knownHosts)
	if have := d.known[id]; have != nil && have.stamp == now {
		return have.keys, nil
	}
	keys, err := readHostKeys(end.knownHosts)
	if err != nil {
		return nil, end.fail("read known_hosts", ErrConfig, err.Error(), "")
	}
	d.known[id] = &knownFiles{stamp: now, keys: keys}
	return keys, nil
}

func stamp(files []string) string {
	var b strings.Builder
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", file, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// readHostKeys parses copies of the files from which the lines that cannot be read are left out: the libraries give up a
// whole file for one such line, where OpenSSH skips it.
func readHostKeys(files []string) (*hostKeys, error) {
	dir, err := os.MkdirTemp("", "seatrial-known-hosts-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	keys := &hostKeys{names: make(map[string]string)}
	var copies []string
	for i, file := range files {
		content, err := os.ReadFile(file)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		readable, err := keys.filter(file, string(content))
		if err != nil {
			return nil, err
		}
		to := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(to, []byte(readable), 0o600); err != nil {
			return nil, err
		}
		keys.names[to], copies = file, append(copies, to)
	}
	keys.files = files
	keys.db, err = skeema.NewDB(copies...)
	return keys, err
}

// filter empties the lines that cannot be read, so that the others keep their numbers. A @revoked line that cannot be read
// is an error: skipping it would accept a key that somebody has declared bad.
func (k *hostKeys) filter(file, content string) (string, error) {
	lines := strings.Split(content, "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		err := checkKnownHostsLine(line)
		if err == nil {
			continue
		}
		where := fmt.Sprintf("%s:%d", file, i+1)
		if strings.HasPrefix(line, "@revoked") {
			return "", fmt.Errorf("%s: a @revoked line that cannot be read: %w", where, err)
		}
		k.skipped = append(k.skipped, where)
		lines[i] = ""
	}
	return strings.Join(lines, "\n"), nil
}

// scannerLimit is the longest line that the libraries read.
const scannerLimit = 64<<10 - 2

// checkKnownHostsLine is as strict as the libraries are.
func checkKnownHostsLine(line string) error {
	if len(line) > scannerLimit {
		return errors.New("line too long")
	}
	fields := strings.Fields(line)
	if fields[0] == "@revoked" || fields[0] == "@cert-authority" {
		fields = fields[1:]
	}
	if len(fields) < 3 {
		return errors.New("not host names, a key type and a key")
	}
	if err := checkHostPatterns(fields[0]); err != nil {
		return err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(fields[1] + " " + fields[2]))
	if err != nil {
		return errors.New("not a key: " + plainly(err))
	}
	if key.Type() != fields[1] {
		return fmt.Errorf("a key of type %s is called %s", key.Type(), fields[1])
	}
	return nil
}

func checkHostPatterns(names string) error {
	if strings.HasPrefix(names, "|") {
		return checkHashed(names)
	}
	if strings.HasPrefix(names, "@") {
		return errors.New("unknown marker " + names)
	}
	for name := range strings.SplitSeq(names, ",") {
		bare := strings.TrimPrefix(name, "!")
		if bare == "" && name != "" {
			return errors.New("a ! without a name")
		}
		if strings.HasPrefix(bare, "[") {
			if _, _, err := net.SplitHostPort(bare); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkHashed(name string) error {
	parts := strings.Split(name, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return errors.New("not a hashed host name")
	}
	for _, part := range parts[2:] {
		if _, err := decodeWord("~" + part); err != nil {
			return errors.New("not a hashed host name")
		}
	}
	return nil
}

// keyCheck decides about the key of one connection and keeps the verdict, which the library would turn into text.
type keyCheck struct {
	keys        *hostKeys
	end         *endpoint
	fingerprint string // of the accepted key
	failure     *Error
}

// algorithms puts the kinds of keys that are known for the host first, so that it shows one of those. The others stay in
// the list: a host that has only another key is to be told apart from one that cannot be talked to.
func (k *keyCheck) algorithms() []string {
	secure := ssh.SupportedAlgorithms().HostKeys
	known := slices.DeleteFunc(k.keys.db.HostKeyAlgorithms(k.end.keyName), func(algorithm string) bool {
		return !slices.Contains(secure, algorithm) || (k.end.pin != "" && isCertificate(algorithm))
	})
	for _, algorithm := range secure {
		if !isCertificate(algorithm) && !slices.Contains(known, algorithm) {
			known = append(known, algorithm)
		}
	}
	return known
}

func isCertificate(algorithm string) bool { return strings.Contains(algorithm, "-cert-") }

// callback is the ssh.HostKeyCallback. A pin in the inventory decides alone, except against a @revoked line.
func (k *keyCheck) callback(name string, _ net.Addr, key ssh.PublicKey) error {
	fingerprint := ssh.FingerprintSHA256(key)
	// The libraries look at the name only when there is one; the address is there because they insist on it.
	err := k.keys.db.HostKeyCallback()(name, &net.TCPAddr{IP: net.IPv4zero}, key)
	var revoked *knownhosts.RevokedError
	var mismatch *knownhosts.KeyError
	shown := key.Type() + " " + fingerprint
	switch {
	case errors.As(err, &revoked):
		k.failure = k.refuse(ErrHostKeyRevoked, fmt.Sprintf("%s, by %s", shown, k.where(revoked.Revoked)),
			"do not connect: somebody declared this key bad; the host needs a new one")
	case k.end.pin != "":
		if fingerprint != k.end.pin {
			k.failure = k.pinned(shown)
		}
	case err == nil:
	case errors.As(err, &mismatch) && len(mismatch.Want) > 0:
		k.failure = k.changed(shown, mismatch.Want)
	case errors.As(err, &mismatch):
		k.failure = k.unknown(shown)
	default:
		k.failure = k.refuse(ErrUnknownHostKey, shown+": "+plainly(err), "")
	}
	if k.end.show != nil {
		return k.see(key)
	}
	if k.failure != nil {
		return k.failure
	}
	k.fingerprint = fingerprint
	return nil
}

func (k *keyCheck) refuse(sentinel error, detail, hint string) *Error {
	return k.end.fail("check the host key", sentinel, detail, hint)
}

func (k *keyCheck) pinned(shown string) *Error {
	return k.refuse(ErrHostKeyChanged, fmt.Sprintf("the host showed %s; the inventory pins %s", shown, k.end.pin),
		"if the host was installed anew, or the pin is of another of its keys, compare with  ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub"+
			"  on the host and correct host_key; otherwise somebody else may be answering")
}

func (k *keyCheck) changed(shown string, want []knownhosts.KnownKey) *Error {
	var known []string
	for _, key := range want {
		known = append(known, fmt.Sprintf("%s has %s %s", k.where(key), key.Key.Type(), ssh.FingerprintSHA256(key.Key)))
	}
	slices.Sort(known)
	return k.refuse(ErrHostKeyChanged, fmt.Sprintf("the host showed %s; %s", shown, strings.Join(known, ", ")), fmt.Sprintf(
		"if the host was installed anew, forget the old key with  ssh-keygen -R '%s' -f %s  and then seatrial trust; "+
			"otherwise somebody else may be answering", skeema.Normalize(k.end.keyName), k.names(want[0])))
}

func (k *keyCheck) unknown(shown string) *Error {
	detail := fmt.Sprintf("the host showed %s, which is not in %s", shown, strings.Join(k.keys.files, ", "))
	if len(k.keys.skipped) > 0 {
		detail += "; lines that cannot be read: " + strings.Join(k.keys.skipped, ", ")
	}
	return k.refuse(ErrUnknownHostKey, detail,
		"seatrial trust shows the key and adds it after your consent; compare it on the host with  ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub")
}

func (k *keyCheck) names(key knownhosts.KnownKey) string { return k.keys.names[key.Filename] }

func (k *keyCheck) where(key knownhosts.KnownKey) string {
	return fmt.Sprintf("%s:%d", k.names(key), key.Line)
}
