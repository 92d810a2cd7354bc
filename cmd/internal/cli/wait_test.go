package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatrial/seatrial/remote/sshtest"
)

// Two that wait for the same run may begin together: who comes second goes on waiting. All hosts looked free to it.
func TestWaitAfterTheSurvey(t *testing.T) {
	host, err := sshtest.New("web-1", sshtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	install(t, host, "[Service]\nExecStart=/srv/app --listen=127.0.0.1:8080\n")
	if err := host.Fail("lock"); err != nil {
		t.Fatal(err)
	}
	said := &heard{words: "locked by somebody@elsewhere", then: func() {
		host.Heal("lock")
		host.Advance(11 * time.Minute) // the lease of the other ends
	}}
	file := inventoryFor(t, host)
	code := Main([]string{"seatrial", "deploy", "staging", "--inventory", file, "--wait", "10m"}, strings.NewReader(""), said, said)
	if code != 0 || !strings.Contains(said.String(), "another run was faster: waiting for at most") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if u := host.Unit("app.service"); u.Active != "active" || !strings.Contains(u.Running, "--new") {
		t.Errorf("app.service is %s and runs %q", u.Active, u.Running)
	}
}

// heard does something once certain words have been said.
type heard struct {
	words string
	then  func()

	mu   sync.Mutex
	text bytes.Buffer
	once sync.Once
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.text.Write(b)
	if strings.Contains(h.text.String(), h.words) {
		h.once.Do(h.then)
	}
	return n, err
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}
