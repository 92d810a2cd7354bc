package plans

import (
	"context"
	"sort"
	"strings"
	"sync"

	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/steps"
)

// LogLine is one line of a unit's journal.
type LogLine struct {
	Type    string `json:"type"` // log.line
	Host    string `json:"host"`
	Service string `json:"service"`
	Text    string `json:"text"`
}

// Logs reads the journals of a run's hosts.
type Logs struct {
	run     *Run
	lines   int
	cursors map[*lane]string
	mu      sync.Mutex
}

// Logs begins with the last lines of each host.
func (r *Run) Logs(lines int) *Logs { return &Logs{run: r, lines: lines, cursors: map[*lane]string{}} }

// Next gives the lines that came since the last call, merged by time. A host that stopped answering is left out.
func (g *Logs) Next(ctx context.Context, each func(LogLine)) error {
	var all []LogLine
	g.run.each(g.run.lanes, func(l *lane) {
		if l.helper == nil || l.failure != nil && l.failure.lost {
			return
		}
		lines, err := g.read(ctx, l)
		if err != nil {
			text, hint := message(err)
			l.failure = &failure{step: "journal", text: text, hint: hint, lost: true}
			l.end(Unreachable)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		all = append(all, lines...)
	})
	// short-iso lines begin with the time, and hosts' lines keep their order
	sort.SliceStable(all, func(i, j int) bool { return stamp(all[i]) < stamp(all[j]) })
	for _, line := range all {
		each(line)
	}
	return nil
}

func stamp(l LogLine) string { return l.Text[:min(len(l.Text), 19)] }

const cursorMark = "-- cursor: "

func (g *Logs) read(ctx context.Context, l *lane) ([]LogLine, error) {
	g.mu.Lock()
	cursor := g.cursors[l]
	g.mu.Unlock()
	var text string
	_, err := l.helper.Do(ctx, []remote.Request{steps.LogsRequest(l.tx, g.lines, cursor)}, func(r remote.Reply) {
		if r.Key == "logs" {
			text = r.Text
		}
	})
	var lines []LogLine
	for _, line := range strings.Split(text, "\n") {
		if next, ok := strings.CutPrefix(line, cursorMark); ok {
			cursor = next
		} else if line != "" {
			lines = append(lines, LogLine{"log.line", l.host.Name, l.tx.Service.Name, line})
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cursors[l] = cursor
	return lines, err
}
