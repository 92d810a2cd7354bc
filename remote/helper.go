package remote

import (
	"context"
	"crypto/rand"
	_ "embed" // helper.sh
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

//go:embed helper.sh
var helperScript string

// commandLimit is how long a command string may be: Linux refuses single arguments of 128 KiB.
const commandLimit = 126_000

// Helper is the program that runs on the host, on one channel of a connection. One batch is done at a time; calls wait for
// each other. After an ErrLost it is of no more use, nor is its connection.
type Helper struct {
	conn    *Conn
	channel *channel
	nonce   string
	turn    chan struct{} // held by whoever talks
	first   *batch        // sent with the command or to be sent by First; nil once collected
	rides   bool
	batches int
	serial  int
}

// Helper starts the program on a new channel and waits until it runs as root. The program defines the shell function
// run VERB ARG...; see helper.sh. The first requests are sent in the command string, so that they cost no round trip of
// their own; collect their results with First. They should only read: a login that hangs may run them after we have given
// up. When the context or the host's connect timeout ends before the helper is ready, the whole connection is closed.
func (c *Conn) Helper(ctx context.Context, program string, first []Request) (*Helper, error) {
	h := &Helper{conn: c, nonce: newNonce(), turn: make(chan struct{}, 1)}
	pending, err := h.encode(first)
	if err != nil {
		return nil, err
	}
	command, rides := bootstrap(program, h.nonce, pending.text)
	if len(command) > commandLimit {
		return nil, fmt.Errorf("start the helper: a program of %d bytes is too long to be sent in a command", len(program))
	}
	if len(first) > 0 {
		h.first, h.rides = pending, rides
	}
	ctx, cancel := context.WithTimeout(ctx, c.end.timeout)
	defer cancel()
	h.channel, err = c.open(ctx, command, h.nonce)
	if err != nil {
		return nil, err
	}
	return h, nil
}

// bootstrap is the command string. It holds no byte of the inventory but as base64, and nothing that login shells (bash,
// dash, zsh, fish) read differently. Requests that make it too long do not ride.
func bootstrap(program, nonce, first string) (command string, rides bool) {
	const head = "exec /bin/sh -c 'SEATRIAL_PROGRAM=$(echo "
	const tail = ` | base64 -d); export SEATRIAL_PROGRAM; eval "$SEATRIAL_PROGRAM"' seatrial @helper `
	code := base64.StdEncoding.EncodeToString([]byte(program + "\n" + helperScript))
	word := "-"
	if first != "" {
		word = base64.StdEncoding.EncodeToString([]byte(first))
	}
	command = head + code + tail + nonce + " "
	if len(command)+len(word) > commandLimit {
		return command + "-", false
	}
	return command + word, true
}

func newNonce() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// First collects the results of the requests that were given to Conn.Helper; without such it returns nothing.
func (h *Helper) First(ctx context.Context, each func(Reply)) ([]Result, error) {
	if err := h.take(ctx); err != nil {
		return nil, err
	}
	defer h.leave()
	b := h.first
	if b == nil {
		return nil, nil
	}
	h.first = nil
	if h.rides {
		return h.collect(ctx, b, each)
	}
	return h.talk(ctx, b, each)
}

// Do sends a batch and waits for the end of every request in it: one round trip. Replies are handed to each, on the
// caller's goroutine, in the order in which the host gave them; the last of a request has EndKey. An error that is ErrLost means that requests without a
// result (Unknown) may or may not have been done; every other error means that nothing was sent. When the context ends,
// the connection is closed, as nobody could tell any more whose answers come next.
func (h *Helper) Do(ctx context.Context, requests []Request, each func(Reply)) ([]Result, error) {
	if err := h.take(ctx); err != nil {
		return nil, err
	}
	defer h.leave()
	if h.first != nil {
		return nil, errors.New("request: the results of the first requests have not been collected yet")
	}
	b, err := h.encode(requests)
	if err != nil || b.open == 0 {
		return nil, err
	}
	return h.talk(ctx, b, each)
}

func (h *Helper) take(ctx context.Context) error {
	if ctx.Err() != nil {
		return &Error{Host: h.conn.end.name, Op: "request", Err: ctx.Err()}
	}
	select {
	case h.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{Host: h.conn.end.name, Op: "request", Err: ctx.Err()}
	}
}

func (h *Helper) leave() { <-h.turn }

// talk sends while it listens: a host that is busy answering does not read on.
func (h *Helper) talk(ctx context.Context, b *batch, each func(Reply)) ([]Result, error) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		h.channel.send(b.text)
	}()
	results, err := h.collect(ctx, b, each)
	<-sent // collect returns when every end has come, or with the channel closed
	return results, err
}

func (h *Helper) collect(ctx context.Context, b *batch, each func(Reply)) ([]Result, error) {
	for b.open > 0 {
		select {
		case ev, ok := <-h.channel.events:
			if !ok || ev.broken {
				h.channel.shut()
				return b.results, h.channel.lost("request")
			}
			b.take(ev, each)
		case <-ctx.Done():
			h.conn.cut()
			h.channel.shut()
			e := h.conn.end.fail("request", ErrLost, "no answer when the time was up", "")
			e.cause = ctx.Err()
			return b.results, e
		}
	}
	return b.results, nil
}

// Stderr is what the program has written to its standard error: the head and the tail of it.
func (h *Helper) Stderr() string { return h.channel.stderr.String() }

// Close lets the program end and waits for that, in bounded time; a program that does not end loses the connection.
func (h *Helper) Close() error {
	h.channel.shut()
	return nil
}

// batch is a list of requests on its way.
type batch struct {
	text    string
	index   map[string]int // id -> place in the list
	results []Result
	open    int // how many ends have not come yet
}

// encode gives every request an id that nothing but the helper of this connection knows, so that no output of a command
// can pass for a reply.
func (h *Helper) encode(requests []Request) (*batch, error) {
	h.batches++
	b := &batch{index: make(map[string]int, len(requests)), open: len(requests)}
	var text strings.Builder
	for i, r := range requests {
		if err := r.check(); err != nil {
			return nil, err
		}
		h.serial++
		id := replyTag(h.nonce) + strconv.Itoa(h.serial)
		b.index[id] = i
		b.results = append(b.results, Result{Code: Unknown})
		text.WriteString(r.line(h.batches, id))
	}
	b.text = text.String()
	return b, nil
}

func (b *batch) take(ev event, each func(Reply)) {
	i, known := b.index[ev.id]
	switch {
	case !known:
	case ev.end:
		delete(b.index, ev.id) // what comes after the end is noise
		b.results[i] = ev.result
		b.open--
		if each != nil {
			each(Reply{Request: i, Key: EndKey, Text: ev.text})
		}
	case each != nil:
		each(Reply{Request: i, Key: ev.key, Text: ev.text})
	}
}
