package plans

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/steps"
)

// LogLine is one entry of a service's journal.
type LogLine struct {
	Type    string    `json:"type"` // log.line
	Host    string    `json:"host"`
	Service string    `json:"service"`
	Time    time.Time `json:"time"`             // by the host's clock
	Unit    string    `json:"unit,omitempty"`   // what it is about
	Source  string    `json:"source,omitempty"` // the program that wrote it, and its pid
	Text    string    `json:"text"`             // may be several lines
}

// LogOrder says how much of the journals is wanted.
type LogOrder struct {
	Lines  int           // the last ones of each host
	Follow time.Duration // how often to look for more, until ctx ends; zero: once
}

const (
	logsTimeout = 30 * time.Second // for one host's answer; it bounds itself earlier
	logsPages   = 20               // of one host at a time; the rest comes at the next look
	mostLines   = 10_000
)

// Logs gives the journals of all hosts, merged by time. While it follows, a host that goes away is said once, and joins
// again where it was when it is back; without, it is one more host that cannot be asked.
func (r *Run) Logs(ctx context.Context, order LogOrder, each func(LogLine)) {
	ctx, cancel := context.WithCancel(ctx)
	g := &logs{run: r, order: order, places: map[*lane]*place{}}
	for _, l := range r.lanes {
		g.places[l] = &place{lane: l}
		if l.result.Outcome != "" {
			g.away(ctx, g.places[l])
		}
	}
	g.next(ctx, each)
	for order.Follow > 0 && sleep(ctx, order.Follow) {
		g.next(ctx, each)
	}
	cancel()
	g.background.Wait()
}

type logs struct {
	run        *Run
	order      LogOrder
	places     map[*lane]*place
	background sync.WaitGroup
}

// place is how far the journal of one service on one host has been read.
type place struct {
	lane   *lane
	cursor string
	begun  bool
	back   chan struct{} // of a host that is away: closed when it can be asked again
	lines  []LogLine     // read, and not yet shown
}

// next gives what has come since it was called before.
func (g *logs) next(ctx context.Context, each func(LogLine)) {
	g.run.each(g.run.lanes, func(l *lane) { g.read(ctx, g.places[l]) })
	var all [][]LogLine
	for _, l := range g.run.lanes {
		all = append(all, g.places[l].lines)
		g.places[l].lines = nil
	}
	for _, line := range merged(all) {
		each(line)
	}
}

// merged puts lines in order of time. The lines of each journal stay in their order, also when its host's clock was set back.
func merged(journals [][]LogLine) []LogLine {
	type timed struct {
		at   time.Time
		line LogLine
	}
	var all []timed
	for _, lines := range journals {
		var last time.Time
		for _, line := range lines {
			if line.Time.After(last) {
				last = line.Time
			}
			all = append(all, timed{last, line})
		}
	}
	slices.SortStableFunc(all, func(a, b timed) int { return a.at.Compare(b.at) })
	var lines []LogLine
	for _, t := range all {
		lines = append(lines, t.line)
	}
	return lines
}

// read reads one journal to its end, page by page.
func (g *logs) read(ctx context.Context, p *place) {
	if !g.present(p) {
		return
	}
	for range logsPages {
		more, err := p.page(ctx, g.order.Lines)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			text, hint := message(err)
			p.lane.failure = &failure{step: logsStep, text: text, hint: hint, lost: true}
			p.lane.end(Unreachable)
			g.away(ctx, p)
		}
		if err != nil || !more {
			return
		}
	}
}

// present reports whether the host can be asked.
func (g *logs) present(p *place) bool {
	select {
	case <-p.back:
		p.back = nil
		p.lane.failure, p.lane.result = nil, HostResult{Host: p.lane.result.Host, Service: p.lane.result.Service}
		p.note("the host is back")
	default:
	}
	return p.back == nil && p.lane.result.Outcome == ""
}

const logsStep = "journal"

// note says something of a host in the middle of the lines.
func (p *place) note(text string) {
	p.lane.emit(Event{Type: StepOutput, Step: logsStep, Kind: Note, Text: text})
}

// away waits for a host to come back, while the others go on.
func (g *logs) away(ctx context.Context, p *place) {
	if g.order.Follow == 0 {
		return
	}
	if p.lane.result.Outcome != Unreachable {
		p.note(p.lane.result.Text + "; it is left out")
		return
	}
	back := make(chan struct{})
	p.back = back
	p.note(p.lane.result.Text + "; it joins again when it is back")
	g.background.Go(func() {
		for sleep(ctx, g.run.runner.reconnectPause()) {
			if p.lane.conn != nil {
				_ = p.lane.conn.Close()
			}
			if _, err := p.lane.connect(ctx); err == nil {
				close(back)
				return
			}
		}
	})
}

// page reads on from the cursor. more says that this was not all.
func (p *place) page(ctx context.Context, wanted int) (more bool, err error) {
	lines := max(1, wanted) // the last one has the cursor, also when none is wanted
	if p.begun {
		lines = mostLines // there was none before
	}
	text, err := p.ask(ctx, lines, true)
	if err != nil {
		return false, err
	}
	read, more := p.parse(text)
	if more && len(read) == 0 { // an entry longer than a page
		if text, err = p.ask(ctx, lines, false); err != nil {
			return false, err
		}
		read, more = p.parse(text)
	}
	if p.begun || wanted > 0 {
		p.lines = append(p.lines, read...)
	}
	more = more && len(read) > 0
	p.begun = true
	return more, nil
}

func (p *place) ask(ctx context.Context, lines int, whole bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, logsTimeout)
	defer cancel()
	var text string
	_, err := p.lane.helper.Do(ctx, []remote.Request{steps.LogsRequest(p.lane.tx, lines, p.cursor, whole)}, func(r remote.Reply) {
		if r.Key == "logs" {
			text = r.Text
		}
	})
	return text, err
}

// journalEntry is what `journalctl -o json` prints.
type journalEntry struct {
	Cursor     string       `json:"__CURSOR"`
	Time       string       `json:"__REALTIME_TIMESTAMP"`
	Message    journalField `json:"MESSAGE"`
	Identifier journalField `json:"SYSLOG_IDENTIFIER"`
	Program    journalField `json:"_COMM"`
	PID        journalField `json:"_PID"`
	About      journalField `json:"UNIT"` // where the manager writes of a unit
	Unit       journalField `json:"_SYSTEMD_UNIT"`
}

// journalField is a string; a list of bytes when it is not printable; a list of these when it was given several times; null
// when it is too long.
type journalField string

// UnmarshalJSON implements json.Unmarshaler.
func (f *journalField) UnmarshalJSON(data []byte) error {
	var one string
	var numbers []int
	var several []journalField
	switch {
	case bytes.Equal(data, []byte("null")):
		one = "(a long text)"
	case json.Unmarshal(data, &one) == nil:
	case json.Unmarshal(data, &numbers) == nil:
		for _, n := range numbers {
			one += string([]byte{byte(n)})
		}
	default:
		if err := json.Unmarshal(data, &several); err != nil {
			return err
		}
		if len(several) > 0 {
			one = string(several[0])
		}
	}
	*f = journalField(one)
	return nil
}

// parse reads a page's entries and moves the cursor. An entry that the page's end has cut is read with the next page.
func (p *place) parse(text string) (lines []LogLine, cut bool) {
	for line := range strings.Lines(text) {
		var e journalEntry
		if json.Unmarshal([]byte(line), &e) != nil || e.Cursor == "" {
			cut = true
			break
		}
		p.cursor = e.Cursor
		lines = append(lines, e.line(p.lane))
	}
	return lines, cut || len(text) >= steps.LogsPage-1 // its last newline does not travel
}

func (e journalEntry) line(l *lane) LogLine {
	micros, _ := strconv.ParseInt(e.Time, 10, 64)
	line := LogLine{Type: "log.line", Host: l.host.Name, Service: l.tx.Service.Name, Time: time.UnixMicro(micros).UTC(),
		Unit: string(e.About), Source: string(e.Identifier), Text: strings.ToValidUTF8(strings.TrimRight(string(e.Message), "\n"), "\ufffd")}
	if line.Unit == "" {
		line.Unit = string(e.Unit)
	}
	if line.Source == "" {
		line.Source = string(e.Program)
	}
	if e.PID != "" {
		line.Source += fmt.Sprintf("[%s]", e.PID)
	}
	return line
}
