package talk

import (
	"bufio"
	"fmt"
	"net"
	"testing"
)

// echo answers every line.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			_, _ = fmt.Fprintf(conn, "%s\n", lines.Text())
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener.Addr().String()
}

func TestProxyCountsTurns(t *testing.T) {
	proxy, err := Listen(echo(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	for range 3 {
		_, _ = fmt.Fprint(conn, "a\nb\n")
		for range 2 {
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := proxy.Turns(); got != 3 {
		t.Errorf("turns = %d, want 3", got)
	}
	proxy.Cut()
	if _, err := lines.ReadString('\n'); err == nil {
		t.Error("the connection outlived a cut")
	}
	if err := proxy.Close(); err != nil {
		t.Error(err)
	}
}
