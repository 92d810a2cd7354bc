package steps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/seatrial/seatrial/remote"
)

// Verify looks at what runs: status, listening sockets that belong to the unit, and HTTP.
type Verify struct {
	Anytime bool // outside a transaction (check), no token is asked for
}

// Name implements Step.
func (Verify) Name() string { return "verify" }

// Effect implements Step.
func (Verify) Effect() Effect { return Reads }

// Preview implements Step.
func (s Verify) Preview(t Transaction) []Line {
	what := []string{strings.Join(t.units(), ", ") + " active"}
	for _, a := range t.Service.Verify.Listen {
		what = append(what, "listening on "+a)
	}
	for _, h := range t.Service.Verify.HTTP {
		what = append(what, fmt.Sprintf("%s answers %d", h.URL, h.Status))
	}
	return []Line{same(s, "%s", strings.Join(what, "; "))}
}

// Requests implements Step.
func (s Verify) Requests(t Transaction) []remote.Request {
	token := t.Token
	if s.Anytime {
		token = "-"
	}
	v := t.Service.Verify
	args := append([]string{token, seconds(v.Timeout), strings.Join(t.units(), ",")}, v.Listen...)
	return []remote.Request{t.request(s.Name(), "verify", args...)}
}

// A Network opens connections from the host's side: remote.Conn.
type Network interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// A Prober is a step with a part that the controller does, through the connection, after the host's part went well.
type Prober interface {
	// Probe reports what it found, line by line; an error fails the step.
	Probe(ctx context.Context, via Network, t Transaction, found func(string)) error
}

const retryHTTP = 500 * time.Millisecond

// Probe asks each URL of the inventory until it is answered as said, or the timeout of verify is over.
func (s Verify) Probe(ctx context.Context, via Network, t Transaction, found func(string)) error {
	if len(t.Service.Verify.HTTP) == 0 {
		return nil
	}
	transport := &http.Transport{DialContext: via.DialContext, TLSHandshakeTimeout: 10 * time.Second}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ctx, cancel := context.WithTimeout(ctx, t.Service.Verify.Timeout)
	defer cancel()
	for _, h := range t.Service.Verify.HTTP {
		err := askUntil(ctx, client, h)
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s: no answer within %s", h.URL, t.Service.Verify.Timeout)
		}
		if err != nil {
			return err
		}
		found(fmt.Sprintf("%s answers %d", h.URL, h.Status))
	}
	return nil
}

func askUntil(ctx context.Context, client *http.Client, h HTTP) error {
	var last error
	for {
		err := ask(ctx, client, h)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		var closed *remote.Error
		if errors.As(err, &closed) && errors.Is(err, remote.ErrLost) {
			return err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(retryHTTP):
		}
	}
}

const httpBody = 64 << 10 // bytes of the answer that are looked at

func ask(ctx context.Context, client *http.Client, h HTTP) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", h.URL, err)
	}
	req.Header.Set("User-Agent", "seatrial")
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", h.URL, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, httpBody))
	switch {
	case res.StatusCode != h.Status:
		return fmt.Errorf("%s answered %d, not %d: %s", h.URL, res.StatusCode, h.Status, firstLine(body))
	case err != nil:
		return fmt.Errorf("%s: reading the answer: %w", h.URL, err)
	case !strings.Contains(string(body), h.Contains):
		return fmt.Errorf("%s answered %d without %q: %s", h.URL, res.StatusCode, h.Contains, firstLine(body))
	}
	return nil
}

func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if len(line) > 200 {
		line = line[:200] + "..."
	}
	return line
}

// JournalRequest asks for the last lines of one start of each unit. Invocations are by unit; a unit that is not
// in it gives its latest start.
func JournalRequest(t Transaction, lines int, invocations map[string]string) remote.Request {
	args := []string{itoa(lines)}
	for _, u := range t.units() {
		id := invocations[u]
		if id == "" {
			id = "-"
		}
		args = append(args, u, id)
	}
	return t.request("journal", "journal", args...)
}

// LogsPage is the most that a host says of its journal at once, in bytes: a reply has a limit.
const LogsPage = 700_000

// LogsRequest asks for the journal of the service's units, one JSON object a line: the last entries, or what came after the
// cursor, as far as a page goes. Without whole, texts of more than 4 KiB are left out.
func LogsRequest(t Transaction, lines int, cursor string, whole bool) remote.Request {
	all := "-"
	if whole {
		all = "whole"
	}
	return t.request("journal", "logs", append([]string{itoa(lines), cursor, all, itoa(LogsPage)}, t.units()...)...)
}
