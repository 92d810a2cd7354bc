package remote

import (
	"net"
	"strings"
	"sync"
	"time"
)

// heard is a connection that remembers how the host began to talk. An sshd that turns somebody away says why in plain text
// before the protocol starts, and the SSH library reports only "EOF".
type heard struct {
	net.Conn
	mu    sync.Mutex
	first []byte
}

const heardLimit = 256

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := heardLimit - len(h.first); room > 0 {
		h.first = append(h.first, p[:min(n, room)]...)
	}
	return n, err
}

func (h *heard) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.first)
}

// greeted tells whether the host introduced itself as one that speaks SSH.
func (h *heard) greeted() bool {
	text := h.text()
	return strings.HasPrefix(text, "SSH-") || strings.Contains(text, "\nSSH-")
}

// netDialer notices a dead network in tens of seconds, not in hours.
func netDialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         controlSocket,
	}
}

// within runs f and waits for it at most as long as limit; it tells whether f ended in time.
func within(limit time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}
