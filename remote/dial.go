package remote

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// handshakeLimit is how many handshakes one Dialer has going at once: an sshd or a firewall in front of many hosts
	// counts unauthenticated connections.
	handshakeLimit = 32
	// connectTries and firstPause shape the retries; only what passes by itself is tried again, and all within the timeout.
	connectTries = 4
	firstPause   = 250 * time.Millisecond
)

// Dialer makes connections. Its zero value is ready to use; it must not be copied after that. One Dialer is meant to serve
// a whole run: it shares bastion connections, what it read from known_hosts files, and the limit on handshakes.
type Dialer struct {
	NetDial     func(ctx context.Context, network, addr string) (net.Conn, error) // nil: a net.Dialer
	AgentSocket string                                                            // of the ssh agent; empty: none
	Home        string                                                            // for ~ and ~/.ssh; empty: the account's own

	once     sync.Once
	slots    chan struct{}
	mu       sync.Mutex
	bastions map[string]*bastion
	known    map[string]*knownFiles
}

func (d *Dialer) init() {
	d.once.Do(func() {
		d.slots = make(chan struct{}, handshakeLimit)
		d.bastions = make(map[string]*bastion)
		d.known = make(map[string]*knownFiles)
	})
}

// Dial connects and logs in, in at most the host's connect timeout (and as much again for each bastion on the way).
func (d *Dialer) Dial(ctx context.Context, host Host) (*Conn, error) {
	d.init()
	route, err := d.route(ctx, host)
	if err != nil {
		return nil, err
	}
	return d.dialRoute(ctx, route)
}

func (d *Dialer) dialRoute(ctx context.Context, route []*endpoint) (*Conn, error) {
	last := len(route) - 1
	if last == 0 {
		return d.connect(ctx, route[0], d.netDial())
	}
	via, letGo, err := d.bastionFor(ctx, route[:last])
	if err != nil {
		return nil, throughBastion(route[last].name, err)
	}
	conn, err := d.connect(ctx, route[last], via.client.DialContext)
	if err != nil {
		letGo()
		return nil, err
	}
	conn.letGo = letGo
	return conn, nil
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func (d *Dialer) netDial() dialFunc {
	if d.NetDial != nil {
		return d.NetDial
	}
	return netDialer().DialContext
}

// connect takes a slot and tries until the time is up or trying again makes no sense. The wait for a slot does not count.
func (d *Dialer) connect(ctx context.Context, end *endpoint, dial dialFunc) (*Conn, error) {
	keys, err := d.knownKeys(end)
	if err != nil {
		return nil, err
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, &Error{Host: end.name, Op: "connect", Err: ctx.Err()}
	}
	ctx, cancel := context.WithTimeout(ctx, end.timeout)
	defer cancel()
	for pause := firstPause; ; pause *= 2 {
		conn, err := attempt(ctx, end, dial, keys)
		if err == nil {
			return conn, nil
		}
		if !err.again || pause >= firstPause<<(connectTries-1) || !sleep(ctx, pause/2+rand.N(pause)) {
			return nil, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt is one TCP connection, one handshake, one login. The library's own timeout covers TCP only, so that the end of
// the context closes the connection under it.
func attempt(ctx context.Context, end *endpoint, dial dialFunc, keys *hostKeys) (*Conn, *Error) {
	login, failure := prepareLogin(ctx, end)
	defer login.close()
	if failure != nil {
		return nil, failure
	}
	nc, err := dial(ctx, "tcp", end.address())
	if err != nil {
		return nil, explainDial(ctx, end, err)
	}
	raw := &heard{Conn: nc}
	check := &keyCheck{keys: keys, end: end}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	sc, channels, requests, err := ssh.NewClientConn(raw, end.keyName, clientConfig(end, check, login))
	if !stop() && err == nil {
		_ = sc.Close()
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, (&failedHandshake{ctx: ctx, end: end, raw: raw, check: check, login: login}).explain(err)
	}
	conn := newConn(end, ssh.NewClient(sc, channels, requests), raw)
	conn.fingerprint = check.fingerprint
	return conn, nil
}

// clientConfig offers only what the library calls secure; its defaults still hold a SHA-1 key exchange.
func clientConfig(end *endpoint, check *keyCheck, login *login) *ssh.ClientConfig {
	secure := ssh.SupportedAlgorithms()
	return &ssh.ClientConfig{
		Config:            ssh.Config{KeyExchanges: secure.KeyExchanges, Ciphers: secure.Ciphers, MACs: secure.MACs},
		User:              end.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeysCallback(login.offer)},
		HostKeyCallback:   check.callback,
		HostKeyAlgorithms: check.algorithms(),
	}
}

// explainDial: no connection came about at all.
func explainDial(ctx context.Context, end *endpoint, err error) *Error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return &Error{Host: end.name, Op: "connect", Err: ctx.Err()}
	}
	detail, hint := err.Error(), "is the host up, with sshd at this address and port?"
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case ctx.Err() != nil:
		detail = fmt.Sprintf("%s: no answer within %v", end.address(), end.timeout)
		hint = "is the host up, and does every firewall on the way let this machine in?"
	case errors.As(err, &dns):
		detail = fmt.Sprintf("no address for %s: %s", end.host, dns.Err)
		hint = "is the name right? `address` in the inventory, or HostName in ~/.ssh/config, says where the host is"
	case errors.As(err, &op):
		detail = fmt.Sprintf("%s: %v", end.address(), op.Err)
	}
	e := end.fail("connect", ErrUnreachable, detail, hint)
	e.cause, e.again = err, dns == nil || dns.IsTemporary
	return e
}

// failedHandshake is all that is known when a handshake has failed; the library's error alone is often no more than "EOF".
type failedHandshake struct {
	ctx   context.Context
	end   *endpoint
	raw   *heard
	check *keyCheck
	login *login
}

func (f *failedHandshake) explain(err error) *Error {
	e := f.classify(err)
	if e != f.check.failure { // err wraps that one itself
		e.cause = err
	}
	return e
}

func (f *failedHandshake) classify(err error) *Error {
	said := f.raw.text()
	switch {
	case f.check.failure != nil:
		return f.check.failure
	case errors.Is(f.ctx.Err(), context.Canceled):
		return &Error{Host: f.end.name, Op: "connect", Err: f.ctx.Err()}
	case strings.Contains(said, "Not allowed at this time"):
		return f.end.fail("connect", ErrRefusedForNow, "the host penalises this address for earlier connections",
			"wait a minute before the next try; see PerSourcePenalties in sshd_config")
	case strings.Contains(said, "MaxStartups"):
		e := f.end.fail("connect", ErrRefusedForNow, printable(said, noiseShown), "too many logins at once: raise MaxStartups in sshd_config")
		e.again = true
		return e
	case !f.raw.greeted():
		return f.noGreeting()
	case f.ctx.Err() != nil:
		return f.end.fail(f.op(), ErrUnreachable, fmt.Sprintf("no answer within %v", f.end.timeout), "")
	case f.check.fingerprint != "" && !isCut(err):
		return f.login.refused()
	case isCut(err):
		return f.end.fail(f.op(), ErrUnreachable, f.end.address()+" closed the connection in the middle of it", "")
	default:
		return f.end.fail(f.op(), ErrUnreachable, plainly(err), "")
	}
}

func (f *failedHandshake) op() string {
	if f.check.fingerprint != "" {
		return "log in as " + f.end.user
	}
	return "connect"
}

// noGreeting: something accepted the connection, but it did not speak SSH.
func (f *failedHandshake) noGreeting() *Error {
	said := f.raw.text()
	switch {
	case said != "":
		return f.end.fail("connect", ErrUnreachable, "what listens at "+f.end.address()+" is not an SSH server: "+printable(said, 80), "is the port right?")
	case f.ctx.Err() != nil:
		detail := fmt.Sprintf("%s accepted the connection and said nothing for %v", f.end.address(), f.end.timeout)
		return f.end.fail("connect", ErrUnreachable, detail, "")
	default:
		e := f.end.fail("connect", ErrUnreachable, f.end.address()+" closed the connection without a word", "")
		e.again = true
		return e
	}
}

// plainly drops the library's own prefixes.
func plainly(err error) string {
	text := err.Error()
	for _, prefix := range []string{"ssh: handshake failed: ", "ssh: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
