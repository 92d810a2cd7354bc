package remote

import (
	"errors"
	"strings"
)

// What can go wrong with a host, by what a person should do about it. Every error of this package that concerns a host is
// an [*Error] around one of these, around a context's error, or around a plain one for a request that cannot be sent.
var (
	// ErrUnreachable: no connection came about. Nothing was done on the host.
	ErrUnreachable = errors.New("host cannot be reached")
	// ErrRefusedForNow: the host's sshd turns connections away for a while (penalties, MaxStartups).
	ErrRefusedForNow = errors.New("host refuses connections for now")
	// ErrUnknownHostKey: nothing vouches for the key that the host showed.
	ErrUnknownHostKey = errors.New("host key is not known")
	// ErrHostKeyChanged: the host showed another key than the known or pinned one.
	ErrHostKeyChanged = errors.New("host key is not the expected one")
	// ErrHostKeyRevoked: the host showed a key that a @revoked line names.
	ErrHostKeyRevoked = errors.New("host key is revoked")
	// ErrAuth: the host did not accept any of our keys.
	ErrAuth = errors.New("login refused")
	// ErrConfig: what the inventory or ~/.ssh/config says cannot be used; no connection was tried.
	ErrConfig = errors.New("ssh settings cannot be used")
	// ErrNoSudo: the login works, but the helper did not become root.
	ErrNoSudo = errors.New("sudo without a password is not possible")
	// ErrNoShell: the login works, but no POSIX shell answered (nologin, a forced command, a hanging profile).
	ErrNoShell = errors.New("no shell answered")
	// ErrNoForwarding: the host's sshd does not let us connect from its side.
	ErrNoForwarding = errors.New("connections from the host's side are not allowed")
	// ErrLost: the talk ended before the answer came. What was asked for may or may not have happened.
	ErrLost = errors.New("connection lost, outcome unknown")
)

// Error says which host, what was being done, and what it means.
type Error struct {
	Host   string // the host's name in the inventory
	Op     string // what was being done: "connect", "start the helper"
	Err    error  // one of the sentinels of this package, or a context's error
	Detail string // the evidence, one line where possible
	Hint   string // what to do about it; may be empty

	cause error // what the lower layer said, for errors.Is
	again bool  // another try may help
}

// Error includes the host's name; Message does not.
func (e *Error) Error() string {
	if e.Host == "" {
		return e.Message()
	}
	return e.Host + ": " + e.Message()
}

// Message is the error without the host's name, for where that is said already.
func (e *Error) Message() string {
	parts := []string{e.Op, e.Err.Error()}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the sentinel and what lies below it.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.cause}
}

// printable makes one short line of what a host said: what is shown to a person must not steer their terminal.
func printable(said string, limit int) string {
	said = strings.Join(strings.Fields(strings.Map(visible, strings.ToValidUTF8(said, "?"))), " ")
	if len(said) > limit {
		said = strings.ToValidUTF8(said[:limit], "") + "..."
	}
	return said
}

func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return ' '
	case r < ' ' || (r >= 0x7f && r < 0xa0):
		return '?'
	default:
		return r
	}
}
