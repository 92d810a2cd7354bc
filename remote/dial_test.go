package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// plainHost is the inventory's entry for something that is not a host we could log in to.
func plainHost(t testing.TB, addr string) Host {
	t.Helper()
	file, _ := newKey(t, t.TempDir(), "id")
	return Host{
		Name: "web-1", Address: addr, User: "root", IdentityFiles: []string{file},
		KnownHosts: []string{"/dev/null"}, ConnectTimeout: time.Minute,
	}
}

// The strange things that listen on a port, how they are told apart, and whether they are asked again.
func TestDialStrangers(t *testing.T) {
	tests := []struct {
		name    string
		says    string
		timeout time.Duration
		want    error
		detail  string
		asked   int64
	}{
		{"closes at once", "", 10 * time.Second, ErrUnreachable, "without a word", connectTries},
		{"another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", 10 * time.Second, ErrUnreachable, "not an SSH server: HTTP/1.1 400", 1},
		{"penalties", "Not allowed at this time\r\n", 10 * time.Second, ErrRefusedForNow, "penalises", 1},
		{"too many logins", "Exceeded MaxStartups\r\n", 10 * time.Second, ErrRefusedForNow, "MaxStartups", connectTries},
		{"time is up between tries", "", 100 * time.Millisecond, ErrUnreachable, "without a word", 1},
		{"greets and goes", "SSH-2.0-x\r\n", 10 * time.Second, ErrUnreachable, "in the middle of it", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			noLeaks(t)
			var asked atomic.Int64
			listener := listen(t, func(conn net.Conn) {
				asked.Add(1)
				_, _ = conn.Write([]byte(test.says))
				_, _ = conn.Read(make([]byte, 100)) // the caller's greeting, so that no reset overtakes ours
				_ = conn.Close()
			})
			host := plainHost(t, listener.Addr().String())
			host.ConnectTimeout = test.timeout
			_, err := dialer(t).Dial(t.Context(), host)
			wantError(t, err, test.want, test.detail)
			if got := asked.Load(); got != test.asked {
				t.Errorf("asked %d times, want %d", got, test.asked)
			}
		})
	}
}

// silent accepts connections and keeps them open without a word.
func silent(t testing.TB) (addr string, accepted *atomic.Int64) {
	t.Helper()
	var mu sync.Mutex
	var conns []net.Conn
	accepted = new(atomic.Int64)
	listener := listen(t, func(conn net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, conn)
		accepted.Add(1)
	})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return listener.Addr().String(), accepted
}

func TestDialSilentHost(t *testing.T) {
	noLeaks(t)
	addr, accepted := silent(t)
	host := plainHost(t, addr)
	host.ConnectTimeout = 200 * time.Millisecond
	_, err := dialer(t).Dial(t.Context(), host)
	wantError(t, err, ErrUnreachable, "said nothing for 200ms")
	if accepted.Load() != 1 {
		t.Error("asked again")
	}
}

func TestDialCancelled(t *testing.T) {
	noLeaks(t)
	addr, accepted := silent(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for accepted.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := dialer(t).Dial(ctx, plainHost(t, addr))
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
}

func TestDialRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := listener.Addr().String()
	must(t, listener.Close())
	_, err = dialer(t).Dial(t.Context(), plainHost(t, addr))
	wantError(t, err, ErrUnreachable, addr, "refused")
}

func TestDialUnknownName(t *testing.T) {
	d := dialer(t)
	d.NetDial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "web-1.test", IsNotFound: true}}
	}
	_, err := d.Dial(t.Context(), plainHost(t, "web-1.test"))
	wantError(t, err, ErrUnreachable, "no address for web-1.test")
}

// What passes by itself is tried again; a host that has just come back is reached.
func TestDialTriesAgain(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		tries := 0
		d := dialer(t)
		d.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if tries++; tries < 3 {
				return nil, errors.New("connection refused")
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
		conn, err := d.Dial(t.Context(), host.host(t))
		must(t, err)
		must(t, conn.Close())
	})
}

// A host whose key or whose login is wrong is never asked twice: it would block us for it.
func TestDialAsksOnce(t *testing.T) {
	other, _ := newKey(t, t.TempDir(), "other")
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		for want, change := range map[error]func(*Host){
			ErrUnknownHostKey: func(h *Host) { h.KnownHosts = []string{"/dev/null"} },
			ErrHostKeyChanged: func(h *Host) { h.HostKey = "SHA256:other" },
			ErrAuth:           func(h *Host) { h.IdentityFiles = []string{other} },
		} {
			entry := host.host(t)
			change(&entry)
			tries := 0
			d := dialer(t)
			d.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				tries++
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			}
			_, err := d.Dial(t.Context(), entry)
			wantError(t, err, want)
			if tries != 1 {
				t.Errorf("%v: asked %d times", want, tries)
			}
		}
	})
}

func TestHandshakesAreLimited(t *testing.T) {
	addr, accepted := silent(t)
	ctx, cancel := context.WithCancel(t.Context())
	d := dialer(t)
	host := plainHost(t, addr)
	var dials sync.WaitGroup
	for range handshakeLimit + 10 {
		dials.Go(func() {
			if _, err := d.Dial(ctx, host); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	for accepted.Load() < handshakeLimit {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	if got := accepted.Load(); got != handshakeLimit {
		t.Errorf("%d handshakes at once", got)
	}
	cancel()
	dials.Wait()
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"web-1":               "web-1|",
		"web-1.example.com":   "web-1.example.com|",
		"web-1:2222":          "web-1|2222",
		"192.0.2.7":           "192.0.2.7|",
		"192.0.2.7:22":        "192.0.2.7|22",
		"2001:db8::1":         "2001:db8::1|",
		"::1":                 "::1|",
		"[2001:db8::1]:2222":  "2001:db8::1|2222",
		"fe80::1%eth0":        "fe80::1%eth0|",
		"alias_with_score":    "alias_with_score|",
		"":                    "",
		"-oProxyCommand=id":   "",
		"-l":                  "",
		"web 1":               "",
		"web-1\nProxyJump x":  "",
		"$(id)":               "",
		"web-1:0":             "",
		"web-1:65536":         "",
		"web-1:ssh":           "",
		"user@web-1":          "",
		"[-oProxyCommand]:22": "",
	} {
		host, port, err := splitAddress(address)
		got := host + "|" + port
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

func TestDialRefusesOptionsAsNames(t *testing.T) {
	d := dialer(t)
	d.NetDial = func(context.Context, string, string) (net.Conn, error) {
		t.Error("a connection was tried")
		return nil, net.ErrClosed
	}
	for _, useConfig := range []bool{false, true} {
		host := plainHost(t, "-oProxyCommand=touch /tmp/x")
		host.UseSSHConfig = useConfig
		_, err := d.Dial(t.Context(), host)
		wantError(t, err, ErrConfig, "not a host name")
		host = plainHost(t, "web-1")
		host.UseSSHConfig, host.User = useConfig, "-oProxyCommand=id"
		_, err = d.Dial(t.Context(), host)
		wantError(t, err, ErrConfig, "not a user name")
	}
}

func TestErrorSaysItOnce(t *testing.T) {
	cause := errors.New("cause")
	e := &Error{Host: "web-1", Op: "connect", Err: ErrUnreachable, Detail: "no answer", cause: cause}
	if got, want := fmt.Sprint(e), "web-1: connect: host cannot be reached: no answer"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(e, cause) || !errors.Is(e, ErrUnreachable) {
		t.Error("not unwrapped")
	}
	if got := printable("a\x1b[31m\n\nb\xff\t "+"ü", 300); got != "a?[31m b? ü" {
		t.Errorf("%q", got)
	}
	if got := printable("üüü", 3); got != "ü..." {
		t.Errorf("%q", got)
	}
}
