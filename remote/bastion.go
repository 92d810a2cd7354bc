package remote

import (
	"context"
	"errors"
	"strings"
)

// bastion is a connection that other connections run through. All hosts with the same way share it.
type bastion struct {
	ready chan struct{} // closed once conn or err is set
	conn  *Conn
	err   error
	users int
}

// bastionFor gives the connection to the last host of the route, and a function to let go of it.
func (d *Dialer) bastionFor(ctx context.Context, route []*endpoint) (*Conn, func(), error) {
	key := routeKey(route)
	for {
		b, ours := d.claim(key)
		if ours {
			b.conn, b.err = d.chain(ctx, route)
			close(b.ready)
		}
		select {
		case <-b.ready:
		case <-ctx.Done():
			d.release(key, b)
			return nil, nil, &Error{Op: "connect", Err: ctx.Err()}
		}
		if b.err == nil {
			return b.conn, func() { d.release(key, b) }, nil
		}
		d.release(key, b)
		if ours || !errors.Is(b.err, context.Canceled) {
			return nil, nil, b.err
		}
	}
}

// claim finds the shared bastion or makes a place for it, which the caller then has to fill.
func (d *Dialer) claim(key string) (b *bastion, ours bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b = d.bastions[key]
	if b == nil || b.dead() {
		b, ours = &bastion{ready: make(chan struct{})}, true
		d.bastions[key] = b
	}
	b.users++
	return b, ours
}

// dead: it failed, or it was connected and is no more.
func (b *bastion) dead() bool {
	select {
	case <-b.ready:
	default:
		return false
	}
	if b.err != nil {
		return true
	}
	select {
	case <-b.conn.gone:
		return true
	default:
		return false
	}
}

// release closes the connection when nobody uses it any more.
func (d *Dialer) release(key string, b *bastion) {
	d.mu.Lock()
	b.users--
	last := b.users == 0
	if (last || b.dead()) && d.bastions[key] == b {
		delete(d.bastions, key)
	}
	d.mu.Unlock()
	if last && b.conn != nil {
		_ = b.conn.Close()
	}
}

// chain connects host by host, each through the one before.
func (d *Dialer) chain(ctx context.Context, route []*endpoint) (*Conn, error) {
	dial := d.netDial()
	var below *Conn
	for _, end := range route {
		conn, err := d.connect(ctx, end, dial)
		if err != nil {
			if below != nil {
				_ = below.Close()
			}
			return nil, err
		}
		if under := below; under != nil {
			conn.letGo = func() { _ = under.Close() }
		}
		below, dial = conn, conn.client.DialContext
	}
	return below, nil
}

func routeKey(route []*endpoint) string {
	var keys []string
	for _, end := range route {
		keys = append(keys, end.key())
	}
	return strings.Join(keys, ",")
}

// throughBastion makes the bastion's error the host's own.
func throughBastion(host string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	through := *e
	through.Host = host
	if e.Host != "" {
		through.Op = e.Op + " to the bastion " + e.Host
	}
	return &through
}
