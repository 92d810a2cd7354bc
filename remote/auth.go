package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// offerLimit is how many keys are offered: each counts against the host's MaxAuthTries, which is 6.
const offerLimit = 5

// login holds the keys to offer, in their order, and why others are not among them.
type login struct {
	end     *endpoint
	agent   net.Conn
	held    []ssh.Signer // by the agent
	signers []ssh.Signer
	names   []string // of the signers, for people
	notes   []string
}

// prepareLogin collects keys: first the identity files, then what else the agent holds. It never asks for a passphrase: a
// key that has one must be in the agent. The agent's connection stays open until close, as it does the signing.
func prepareLogin(ctx context.Context, end *endpoint) (*login, *Error) {
	l := &login{end: end}
	if end.show != nil {
		return l, nil
	}
	l.askAgent(ctx)
	for _, id := range end.identities {
		signers, err := l.load(id.path)
		if err != nil && id.required {
			return l, end.fail("read the keys", ErrConfig, err.Error(), keyHint(id.path, err))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			l.notes = append(l.notes, err.Error())
		}
		l.add(id.path, signers...)
	}
	if !end.identitiesOnly {
		l.add("agent", l.held...)
	}
	if len(l.signers) == 0 {
		return l, end.fail("read the keys", ErrConfig, strings.Join(append([]string{"there is no key to log in with"}, l.notes...), "; "),
			"name one in [ssh] identity_files, or add it to the agent with ssh-add")
	}
	return l, nil
}

var errLocked = errors.New("is protected by a passphrase, and no agent holds it")

func keyHint(path string, err error) string {
	if errors.Is(err, errLocked) {
		return "add it to the agent: ssh-add " + path
	}
	return "correct [ssh] identity_files, or leave it out to use what ~/.ssh/config and the agent offer"
}

func (l *login) askAgent(ctx context.Context) {
	if l.end.agentSocket == "" {
		return
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", l.end.agentSocket)
	if err != nil {
		l.notes = append(l.notes, "the agent cannot be reached: "+err.Error())
		return
	}
	l.agent = conn
	_ = conn.SetDeadline(time.Now().Add(l.end.timeout))
	if l.held, err = agent.NewClient(conn).Signers(); err != nil {
		l.notes = append(l.notes, "the agent does not tell its keys: "+err.Error())
	}
}

// add appends keys that are not there yet.
func (l *login) add(from string, signers ...ssh.Signer) {
	for _, s := range signers {
		if len(l.signers) < offerLimit && find(l.signers, s.PublicKey()) == nil {
			l.signers = append(l.signers, s)
			l.names = append(l.names, fmt.Sprintf("%s (%s)", ssh.FingerprintSHA256(s.PublicKey()), from))
		}
	}
}

func find(signers []ssh.Signer, key ssh.PublicKey) ssh.Signer {
	for _, s := range signers {
		if bytes.Equal(s.PublicKey().Marshal(), key.Marshal()) {
			return s
		}
	}
	return nil
}

// load gives the signers for an identity file: its certificate if there is one, and the key. Where the agent holds the key,
// the agent signs, so that a passphrase is no obstacle and a file with only the public half will do.
func (l *login) load(path string) ([]ssh.Signer, error) {
	content, err := os.ReadFile(path)
	signer := l.heldFor(path, content)
	if signer == nil {
		if err != nil {
			return nil, fmt.Errorf("identity file %w", err)
		}
		if signer, err = l.parse(path, content); err != nil {
			return nil, err
		}
	}
	return withCertificate(path, signer), nil
}

// heldFor finds the key of a file in the agent by its public half.
func (l *login) heldFor(path string, content []byte) ssh.Signer {
	for _, text := range [][]byte{content, readOrNothing(path + ".pub")} {
		if key, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
			if s := find(l.held, key); s != nil {
				return s
			}
		}
	}
	return nil
}

func (l *login) parse(path string, content []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(content)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		return signer, nil
	case !errors.As(err, &locked):
		return nil, fmt.Errorf("identity file %s: not a private key: %s", path, plainly(err))
	case locked.PublicKey != nil:
		if s := find(l.held, locked.PublicKey); s != nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("identity file %s: %w", path, errLocked)
}

func withCertificate(path string, signer ssh.Signer) []ssh.Signer {
	key, _, _, _, err := ssh.ParseAuthorizedKey(readOrNothing(path + "-cert.pub"))
	if err != nil {
		return []ssh.Signer{signer}
	}
	certificate, ok := key.(*ssh.Certificate)
	if !ok {
		return []ssh.Signer{signer}
	}
	certified, err := ssh.NewCertSigner(certificate, signer)
	if err != nil {
		return []ssh.Signer{signer}
	}
	return []ssh.Signer{certified, signer}
}

func readOrNothing(path string) []byte {
	content, _ := os.ReadFile(path)
	return content
}

// offer is what ssh.PublicKeysCallback asks. All keys go into one method: the library uses only the first of a kind.
func (l *login) offer() ([]ssh.Signer, error) { return l.signers, nil }

func (l *login) close() {
	if l.agent != nil {
		_ = l.agent.Close()
	}
}

// refused explains a login that the host did not accept.
func (l *login) refused() *Error {
	detail := "none of these keys is accepted: " + strings.Join(l.names, ", ")
	if len(l.notes) > 0 {
		detail += "; " + strings.Join(l.notes, "; ")
	}
	return l.end.fail("log in as "+l.end.user, ErrAuth, detail, fmt.Sprintf(
		"add a public key to %s's ~/.ssh/authorized_keys on the host, or name the right key and user in [ssh]", l.end.user))
}

// isCut tells a connection that ended from an answer.
func isCut(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}
