package remote

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// closeGrace bounds every polite ending; after it the connection is cut.
const closeGrace = 2 * time.Second

// Conn is a connection to one host, logged in. Its methods may be used by several goroutines.
type Conn struct {
	end         *endpoint
	client      *ssh.Client
	raw         net.Conn
	fingerprint string
	letGo       func()        // gives back what lies below: the bastion
	gone        chan struct{} // closed when the transport has ended
	closing     sync.Once
}

func newConn(end *endpoint, client *ssh.Client, raw net.Conn) *Conn {
	c := &Conn{end: end, client: client, raw: raw, letGo: func() {}, gone: make(chan struct{})}
	go func() {
		defer close(c.gone)
		_ = client.Wait()
	}()
	return c
}

// HostKey is the fingerprint of the key that the host proved to own, "SHA256:...".
func (c *Conn) HostKey() string { return c.fingerprint }

// User is the account that the connection is logged in to.
func (c *Conn) User() string { return c.end.user }

// DialContext connects from the host's side: to a service that listens on the host's own 127.0.0.1, say. The connection it
// returns knows no deadlines; close it when the time is up.
func (c *Conn) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.client.DialContext(ctx, network, addr)
	if err == nil {
		return conn, nil
	}
	op := "connect to " + addr + " from the host"
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
		e := c.end.fail(op, ErrNoForwarding, refused.Message, "set AllowTcpForwarding local in the host's sshd_config")
		return nil, e
	case errors.As(err, &refused):
		return nil, &Error{Host: c.end.name, Op: op, Err: errors.New("connection refused"), Detail: refused.Message, cause: err}
	case ctx.Err() != nil:
		return nil, &Error{Host: c.end.name, Op: op, Err: ctx.Err()}
	default:
		return nil, &Error{Host: c.end.name, Op: op, Err: ErrLost, Detail: err.Error(), cause: err}
	}
}

// Lost is closed when the connection has ended, from whichever side.
func (c *Conn) Lost() <-chan struct{} { return c.gone }

// Close ends the connection at once, in bounded time. What runs on the host comes to its end there.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.cut()
		c.letGo()
	})
	return nil
}

// cut closes the transport and waits, not for ever, until everything that reads from it has seen that.
func (c *Conn) cut() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = c.raw.Close()
	}()
	limit := time.NewTimer(closeGrace)
	defer limit.Stop()
	for _, done := range []<-chan struct{}{closed, c.gone} {
		select {
		case <-done:
		case <-limit.C:
			return
		}
	}
}
