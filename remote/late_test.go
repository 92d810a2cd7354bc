package remote

import "testing"

// A sudo that answers too late says nothing about what it would have answered.
func TestSudoThatIsLate(t *testing.T) {
	ch := &channel{conn: &Conn{end: &endpoint{name: "web-1", user: "deploy"}}, hello: true}
	wantError(t, ch.notReady("not ready within 1s"), ErrUnreachable, "become root", "sudo: not ready within 1s", "connect_timeout")
}
