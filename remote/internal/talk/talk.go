// Package talk stands between two ends of a TCP connection, in tests: it counts how often the talk changes direction, makes
// the way longer, and cuts it. What a protocol waits for is the number of round trips, whatever the machine's speed is.
package talk

import (
	"net"
	"sync"
	"time"
)

// Proxy passes connections on to one address.
type Proxy struct {
	listener net.Listener
	target   string
	oneWay   time.Duration

	running sync.WaitGroup
	mu      sync.Mutex
	conns   map[net.Conn]bool
	closed  bool
	turns   int
}

// Listen starts a proxy to the target, which holds every byte for half the round trip time, each way.
func Listen(target string, roundTrip time.Duration) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, target: target, oneWay: roundTrip / 2, conns: make(map[net.Conn]bool)}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where to connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Turns is how often the caller spoke after having heard the host: the round trips it waited for. Bytes that cross on their
// way count as what they are for the caller: an answer that has not arrived yet is not waited for.
func (p *Proxy) Turns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turns
}

// Cut breaks all connections; new ones are still taken.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// Close stops the proxy and waits for everything in it.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Cut()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		caller, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.connect(caller) })
	}
}

func (p *Proxy) connect(caller net.Conn) {
	defer p.forget(caller)
	if !p.remember(caller) {
		return
	}
	time.Sleep(2 * p.oneWay) // the TCP handshake
	host, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.forget(host)
	if !p.remember(host) {
		return
	}
	link := &link{proxy: p}
	var both sync.WaitGroup
	both.Go(func() { p.pass(caller, host, link.callerSpoke, func() {}) })
	both.Go(func() { p.pass(host, caller, func() {}, link.callerHeard) })
	both.Wait()
}

func (p *Proxy) remember(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = true
	return !p.closed
}

func (p *Proxy) forget(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// link is one connection's talk, as the caller sees it.
type link struct {
	proxy *Proxy
	heard bool
	spoke bool
}

func (l *link) callerSpoke() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	if l.heard || !l.spoke {
		l.proxy.turns++
	}
	l.heard, l.spoke = false, true
}

func (l *link) callerHeard() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.heard = true
}

// held is what is on its way.
type held struct {
	bytes []byte
	due   time.Time
}

// pass carries bytes one way. Reading never waits for delivery, so that bytes sent together arrive together.
func (p *Proxy) pass(from, to net.Conn, sent, arrived func()) {
	way := make(chan held, 1024)
	var delivery sync.WaitGroup
	delivery.Go(func() {
		defer func() { _ = to.Close() }()
		for h := range way {
			time.Sleep(time.Until(h.due))
			arrived()
			if _, err := to.Write(h.bytes); err != nil {
				_ = from.Close()
			}
		}
	})
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			sent()
			way <- held{buffer[:n], time.Now().Add(p.oneWay)}
		}
		if err != nil {
			break
		}
	}
	close(way)
	delivery.Wait()
}
