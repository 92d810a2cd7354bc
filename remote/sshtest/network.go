package sshtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// socket is one that listens.
type socket struct {
	ip    netip.Addr
	port  int
	inode int
}

func (s *socket) v6() bool { return s.ip.Is6() }

// hexIP is the address as the kernel's tables have it: 32-bit words, each in the order of a little-endian machine.
func (s *socket) hexIP() string {
	var b strings.Builder
	for word := range slices.Chunk(s.ip.AsSlice(), 4) {
		slices.Reverse(word)
		fmt.Fprintf(&b, "%X%X%X%X", word[0]>>4, word[0]&15, word[1]>>4, word[1]&15)
		fmt.Fprintf(&b, "%X%X%X%X", word[2]>>4, word[2]&15, word[3]>>4, word[3]&15)
	}
	return b.String()
}

func (s *socket) clashes(other *socket) bool {
	return s.port == other.port && (s.ip == other.ip || s.ip.IsUnspecified() || other.ip.IsUnspecified())
}

// network is what listens on the host beside its units.
type network struct {
	held   []*holder
	inodes int
}

type holder struct {
	pid    int
	socket *socket
}

func newNetwork() *network { return &network{inodes: 20000} }

// parseSocket reads IP:PORT, :PORT and PORT.
func (n *network) parseSocket(address string) (*socket, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = "", address
	}
	if host == "" || host == "*" {
		host = "0.0.0.0"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: not an address", address)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: not a port", address)
	}
	n.inodes += 7
	return &socket{ip: ip.Unmap(), port: number, inode: n.inodes}, nil
}

// listening are all sockets that listen, in the order in which they were made.
func (h *Host) listening() []*socket {
	var all []*socket
	for _, held := range h.network.held {
		all = append(all, held.socket)
	}
	for _, u := range h.systemd.units {
		all = append(all, u.sockets...)
	}
	slices.SortFunc(all, func(a, b *socket) int { return a.inode - b.inode })
	return all
}

// listen opens the unit's sockets. An address that is taken is logged, and the program runs on without it.
func (u *unit) listen(addresses []string) {
	h := u.m.h
	for _, address := range addresses {
		s, err := h.network.parseSocket(address)
		if err != nil {
			u.say(err.Error())
			continue
		}
		if slices.ContainsFunc(h.listening(), s.clashes) {
			u.say("cannot listen on " + address + ": Address already in use")
			continue
		}
		u.sockets = append(u.sockets, s)
		u.say("Listening at: " + address)
	}
}

func (u *unit) unlisten() { u.sockets = nil }

// Hold makes another process of the host listen on an address, until release is called.
func (h *Host) Hold(address string) (release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.network.parseSocket(address)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(h.listening(), s.clashes) {
		return nil, fmt.Errorf("listening on %s: address already in use", address)
	}
	held := &holder{pid: h.pid(), socket: s}
	h.network.held = append(h.network.held, held)
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.network.held = slices.DeleteFunc(h.network.held, func(x *holder) bool { return x == held })
	}, nil
}

// dial finds what answers on an address of the host; nil: nothing listens.
func (h *Host) dial(host string, port int) http.Handler {
	h.mu.Lock()
	defer h.mu.Unlock()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	for _, s := range h.listening() {
		switch {
		case s.port != port:
		case s.ip.IsUnspecified() || err == nil && s.ip == ip.Unmap() || err != nil && !s.ip.IsLoopback():
			return h.answer()
		}
	}
	return nil
}

// answer is the person's handler, or a gateway without a backend.
func (h *Host) answer() http.Handler {
	if !h.faults["verify"] {
		return h.options.HTTP
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
	})
}

// serveHTTP answers on one connection until it ends.
func serveHTTP(stream io.ReadWriteCloser, address string, handler http.Handler) {
	conn := &streamConn{ReadWriteCloser: stream, local: name(address), closed: make(chan struct{})}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	_ = server.Serve(&single{conn: conn})
	server.Close()
}

// single is a listener with one connection.
type single struct {
	once sync.Once
	conn *streamConn
}

var errServed = errors.New("the connection has ended")

func (l *single) Accept() (net.Conn, error) {
	var conn net.Conn
	l.once.Do(func() { conn = l.conn })
	if conn != nil {
		return conn, nil
	}
	<-l.conn.closed
	return nil, errServed
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return l.conn.local }

// streamConn is an SSH channel as a net.Conn without deadlines.
type streamConn struct {
	io.ReadWriteCloser
	local  name
	once   sync.Once
	closed chan struct{}
}

func (c *streamConn) Close() error {
	err := c.ReadWriteCloser.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

func (c *streamConn) LocalAddr() net.Addr              { return c.local }
func (c *streamConn) RemoteAddr() net.Addr             { return name("ssh") }
func (c *streamConn) SetDeadline(time.Time) error      { return nil }
func (c *streamConn) SetReadDeadline(time.Time) error  { return nil }
func (c *streamConn) SetWriteDeadline(time.Time) error { return nil }

// name is a net.Addr.
type name string

func (n name) Network() string { return "tcp" }
func (n name) String() string  { return string(n) }
