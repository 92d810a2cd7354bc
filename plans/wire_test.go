package plans

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// wires is the network between the runner and the embedded hosts: it can be cut, it has a round trip time, and it counts how
// often the talk changes direction. What a protocol waits for is that number, whatever the machine's speed is.
type wires struct {
	roundTrip time.Duration

	mu    sync.Mutex
	conns []net.Conn
	turns int
}

// dial is for remote.Dialer.
func (w *wires) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, conn)
	if w.roundTrip == 0 {
		return conn, nil
	}
	far := &wire{Conn: conn, wires: w, way: make(chan parcel, 4096)}
	go far.listen()
	return far, nil
}

// cut breaks all connections that there are.
func (w *wires) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// wire is a connection whose answers take their time. Reading never waits for delivery, so what is sent together arrives
// together.
type wire struct {
	net.Conn
	wires *wires
	way   chan parcel
	rest  []byte
	heard bool // guarded by wires.mu, as spoke is
	spoke bool
}

type parcel struct {
	bytes []byte
	due   time.Time
}

func (c *wire) listen() {
	defer close(c.way)
	for {
		buffer := make([]byte, 32<<10)
		n, err := c.Conn.Read(buffer)
		if n > 0 {
			c.way <- parcel{buffer[:n], time.Now().Add(c.wires.roundTrip)}
		}
		if err != nil {
			return
		}
	}
}

func (c *wire) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		p, ok := <-c.way
		if !ok {
			return 0, io.EOF
		}
		time.Sleep(time.Until(p.due))
		c.rest = p.bytes
		c.wires.mu.Lock()
		c.heard = true
		c.wires.mu.Unlock()
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write counts a turn when the caller speaks after having heard the host.
func (c *wire) Write(b []byte) (int, error) {
	c.wires.mu.Lock()
	if c.heard || !c.spoke {
		c.wires.turns++
	}
	c.heard, c.spoke = false, true
	c.wires.mu.Unlock()
	return c.Conn.Write(b)
}
