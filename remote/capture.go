package remote

import (
	"fmt"
	"sync"
)

// captureLimit is how much is kept of each end of a stream.
const captureLimit = 64 << 10

// capture keeps the beginning and the end of what is written to it and counts the rest. It never refuses, as a stream that
// is not drained stops the host.
type capture struct {
	mu      sync.Mutex
	head    []byte
	ring    []byte
	next    int // where the ring continues
	dropped int64
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	room := min(captureLimit-len(c.head), n)
	c.head = append(c.head, p[:room]...)
	c.keepTail(p[room:])
	return n, nil
}

func (c *capture) keepTail(p []byte) {
	if skip := len(p) - captureLimit; skip > 0 {
		c.dropped += int64(skip)
		p = p[skip:]
	}
	grow := min(captureLimit-len(c.ring), len(p))
	c.ring = append(c.ring, p[:grow]...)
	for p = p[grow:]; len(p) > 0; {
		n := copy(c.ring[c.next:], p)
		c.next = (c.next + n) % captureLimit
		c.dropped += int64(n)
		p = p[n:]
	}
}

// String is what was kept, with a line in the middle that says how much was not.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	tail := string(c.ring[c.next:]) + string(c.ring[:c.next])
	if c.dropped == 0 {
		return string(c.head) + tail
	}
	return fmt.Sprintf("%s\n... %d bytes left out ...\n%s", c.head, c.dropped, tail)
}
