package sshtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"
)

// server is the host's sshd: public keys only, exec and direct-tcpip only. What it does not do: pty, shell, sftp,
// signals, X11, agents. Like OpenSSH it lets a command run on when the client has gone.
type server struct {
	host      *Host
	listener  net.Listener
	config    *ssh.ServerConfig
	hostKey   ssh.Signer
	clientKey []byte

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	wait   sync.WaitGroup
}

func newServer(h *Host) (*server, error) {
	s := &server{host: h, conns: map[net.Conn]bool{}}
	if err := s.keys(); err != nil {
		return nil, err
	}
	s.config = &ssh.ServerConfig{PublicKeyCallback: s.authorize, ServerVersion: "SSH-2.0-OpenSSH_9.2p1 embedded"}
	if h.options.Banner != "" {
		s.config.BannerCallback = func(ssh.ConnMetadata) string { return h.options.Banner }
	}
	s.config.AddHostKey(s.hostKey)
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.wait.Go(s.accept)
	return s, nil
}

func (s *server) keys() error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if s.hostKey, err = ssh.NewSignerFromKey(private); err != nil {
		return err
	}
	if s.host.options.AuthorizedKey == nil {
		s.host.options.AuthorizedKey, s.clientKey, err = newKeyPair()
	}
	return err
}

func (s *server) authorize(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	known := bytes.Equal(key.Marshal(), s.host.options.AuthorizedKey.Marshal())
	if !known || !slices.Contains([]string{s.host.options.User, "root"}, meta.User()) {
		return nil, errors.New("key not authorized")
	}
	return &ssh.Permissions{}, nil
}

func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.keep(conn) {
			conn.Close()
			return
		}
		s.wait.Go(func() { s.serve(conn) })
	}
}

func (s *server) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = true
	return !s.closed
}

func (s *server) forget(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

func (s *server) close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.drop()
	s.wait.Wait()
	return err
}

// drop cuts every connection.
func (s *server) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

// Disconnect cuts all connections, as a network does; what runs on the host runs on.
func (h *Host) Disconnect() { h.server.drop() }

func (s *server) serve(conn net.Conn) {
	defer s.forget(conn)
	if s.host.options.Silent {
		var b [256]byte
		for {
			if _, err := conn.Read(b[:]); err != nil {
				return
			}
		}
	}
	sconn, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	s.wait.Go(func() { answerGlobal(requests) })
	for channel := range channels {
		s.wait.Go(func() { s.open(sconn.User(), channel) })
	}
}

// answerGlobal refuses global requests, which is what a keepalive wants.
func answerGlobal(requests <-chan *ssh.Request) {
	for r := range requests {
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

func (s *server) open(user string, offered ssh.NewChannel) {
	switch offered.ChannelType() {
	case "session":
		channel, requests, err := offered.Accept()
		if err == nil {
			s.session(user, channel, requests)
		}
	case "direct-tcpip":
		s.forward(offered)
	default:
		_ = offered.Reject(ssh.UnknownChannelType, "unknown channel type")
	}
}

// forward connects to what listens on the host's own addresses.
func (s *server) forward(offered ssh.NewChannel) {
	var to struct {
		Addr       string
		Port       uint32
		OriginAddr string
		OriginPort uint32
	}
	if err := ssh.Unmarshal(offered.ExtraData(), &to); err != nil {
		_ = offered.Reject(ssh.ConnectionFailed, "bad request")
		return
	}
	handler := s.host.dial(to.Addr, int(to.Port))
	if handler == nil {
		_ = offered.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	channel, requests, err := offered.Accept()
	if err != nil {
		return
	}
	s.wait.Go(func() { ssh.DiscardRequests(requests) })
	serveHTTP(channel, net.JoinHostPort(to.Addr, strconv.Itoa(int(to.Port))), handler)
}
