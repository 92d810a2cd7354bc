package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// noiseShown is how much of what a login printed instead of a helper is shown to a person.
const noiseShown = 300

// channel is the SSH channel that a helper runs on. One goroutine listens to it for as long as it is open, so that the host
// never waits for us, and turns lines into events.
type channel struct {
	conn    *Conn
	session *ssh.Session
	stdin   io.WriteCloser
	writing sync.Mutex // held while stdin is used, which the library cannot be asked to close meanwhile
	stdout  *lineReader
	stderr  capture
	noise   capture // what came before READY
	nonce   string
	hello   bool // the helper came up, but not as root

	events  chan event // closed when the host has nothing more to say
	exit    chan error // how the program ended
	end     atomic.Pointer[ending]
	quit    chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

// ending is how a program ended: nil for status 0.
type ending struct{ err error }

func (ch *channel) ended() error {
	if end := ch.end.Load(); end != nil {
		return end.err
	}
	return errors.New("still running")
}

// replyTag begins the id of every request of a helper.
func replyTag(nonce string) string { return nonce[:8] + "." }

// open starts the command and waits until its helper is ready. Opening a channel cannot be called back, so the connection
// is cut when the time is up.
func (c *Conn) open(ctx context.Context, command, nonce string) (*channel, error) {
	ch := &channel{
		conn: c, nonce: nonce,
		events: make(chan event, 64), exit: make(chan error, 1), quit: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, c.cut)
	err := ch.start(command)
	if err == nil {
		err = ch.awaitReady()
	}
	if !stop() {
		err = ch.late(ctx)
	}
	if err != nil {
		ch.shut()
		return nil, err
	}
	return ch, nil
}

func (ch *channel) start(command string) error {
	session, err := ch.conn.client.NewSession()
	if err != nil {
		return ch.refused(err)
	}
	ch.session = session
	session.Stderr = &ch.stderr
	in, inErr := session.StdinPipe()
	out, outErr := session.StdoutPipe()
	if err := errors.Join(inErr, outErr, session.Start(command)); err != nil {
		_ = session.Close()
		ch.session = nil
		return ch.refused(err)
	}
	ch.stdin, ch.stdout = in, newLineReader(out)
	ch.running.Go(func() { ch.exit <- session.Wait() })
	ch.running.Go(ch.listen)
	return nil
}

// refused: the host did not open a channel or did not start the command.
func (ch *channel) refused(err error) error {
	sentinel, hint := ErrLost, ""
	var open *ssh.OpenChannelError
	select {
	case <-ch.conn.gone:
	default:
		sentinel = ErrNoShell
	}
	if errors.As(err, &open) {
		hint = "the host's sshd_config may allow too few sessions: MaxSessions"
	}
	e := ch.conn.end.fail("start the helper", sentinel, err.Error(), hint)
	e.cause = err
	return e
}

func (ch *channel) awaitReady() error {
	for ev := range ch.events {
		switch ev.key {
		case "HELLO":
			ch.hello = true
		case "READY":
			return nil
		}
	}
	return ch.notReady("")
}

// late: the time was up, and the connection has been cut for it.
func (ch *channel) late(ctx context.Context) error {
	ch.shut()
	if errors.Is(ctx.Err(), context.Canceled) {
		return &Error{Host: ch.conn.end.name, Op: "start the helper", Err: ctx.Err()}
	}
	return ch.notReady(fmt.Sprintf("not ready within %v", ch.conn.end.timeout))
}

// notReady says why no helper runs: the account has no shell, or is not root and may not become it.
func (ch *channel) notReady(why string) error {
	said := strings.TrimSpace(ch.noise.String() + "\n" + ch.stderr.String())
	end, late := ch.ended(), why != ""
	var cut *ssh.ExitMissingError
	var status *ssh.ExitError
	switch {
	case why != "":
	case errors.As(end, &status):
		why = fmt.Sprintf("ended with status %d", status.ExitStatus())
	case errors.As(end, &cut):
		return ch.lost("start the helper")
	default:
		why = "ended at once"
	}
	if said != "" {
		why += ", having said: " + printable(said, noiseShown)
	}
	if ch.hello && late {
		return ch.conn.end.fail("become root", ErrUnreachable, "sudo: "+why, "what keeps sudo: the host's load, its name service? or raise connect_timeout")
	}
	if ch.hello {
		return ch.conn.end.fail("become root", ErrNoSudo, why, fmt.Sprintf(
			"log in as root, or let %s use sudo without a password: %s ALL=(root) NOPASSWD: ALL", ch.conn.end.user, ch.conn.end.user))
	}
	return ch.conn.end.fail("start the helper", ErrNoShell, why, fmt.Sprintf(
		"%s needs a login shell that runs a command and returns: try  ssh %s true", ch.conn.end.user, ch.conn.end.key()))
}

// listen reads until the host has nothing more to say. After quit it goes on reading, so that the channel can end.
func (ch *channel) listen() {
	defer close(ch.events)
	ready := false
	for {
		line, whole, err := ch.stdout.next()
		if err != nil {
			ch.end.Store(&ending{ch.farewell()})
			return
		}
		text := string(line)
		switch {
		case ready:
			ch.hear(text, whole)
		case text == "@@HELLO "+ch.nonce:
			ch.emit(event{key: "HELLO"})
		case text == "@@READY "+ch.nonce:
			ready = true
			ch.emit(event{key: "READY"})
		default:
			_, _ = ch.noise.Write(append(line, '\n'))
		}
	}
}

// hear passes replies on; lines of anybody else are noise.
func (ch *channel) hear(line string, whole bool) {
	if !strings.HasPrefix(line, "@"+replyTag(ch.nonce)) {
		return
	}
	ev, ok := parseReply(line)
	if !ok || !whole {
		ev = event{broken: true}
	}
	ch.emit(ev)
}

func (ch *channel) emit(ev event) {
	select {
	case ch.events <- ev:
	case <-ch.quit:
	}
}

// farewell is how the program ended; one that has closed its output and lives on is not waited for.
func (ch *channel) farewell() error {
	limit := time.NewTimer(closeGrace)
	defer limit.Stop()
	select {
	case err := <-ch.exit:
		return err
	case <-limit.C:
		return errors.New("its output ended")
	}
}

// lost says that the talk broke off, and what is known about why.
func (ch *channel) lost(op string) *Error {
	end, detail := ch.ended(), "the connection was closed"
	var status *ssh.ExitError
	switch {
	case errors.As(end, &status) && status.Signal() != "":
		detail = "the helper was ended by signal " + status.Signal()
	case errors.As(end, &status):
		detail = fmt.Sprintf("the helper ended with status %d", status.ExitStatus())
	case end == nil:
		detail = "the helper ended"
	}
	if said := strings.TrimSpace(ch.stderr.String()); said != "" {
		detail += ", having said: " + printable(said, noiseShown)
	}
	e := ch.conn.end.fail(op, ErrLost, detail, "see what the host says now: seatrial status")
	e.cause = end
	return e
}

// send writes requests. Its errors are not looked at: whatever stops it also ends the channel, which listen sees.
func (ch *channel) send(text string) {
	ch.writing.Lock()
	defer ch.writing.Unlock()
	_, _ = io.WriteString(ch.stdin, text)
}

// shut ends the channel in bounded time. The program leaves when its input ends; if it does not, the connection is cut.
func (ch *channel) shut() {
	ch.once.Do(func() {
		close(ch.quit)
		if ch.session == nil {
			return
		}
		if within(closeGrace, ch.leave) {
			return
		}
		ch.conn.cut()
		within(closeGrace, ch.running.Wait)
	})
}

func (ch *channel) leave() {
	ch.writing.Lock()
	_ = ch.stdin.Close()
	ch.writing.Unlock()
	ch.running.Wait()
}
