package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seatrial/seatrial/remote/internal/talk"
	"golang.org/x/crypto/ssh"
)

// The contract: what holds between a Dialer and any host, real or embedded.

func TestRepliesComeInOrder(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		h := host.helper(t)
		var batch []Request
		var want []Reply
		for i := range 20 {
			batch = append(batch, Request{"step", "plain", []string{fmt.Sprint(i)}})
			want = append(want, Reply{i, "text", fmt.Sprint(i)})
		}
		for range 3 {
			var got collector
			results, err := h.Do(t.Context(), batch, got.each)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.replies); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(make([]Result, 20), results); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestFailureSkipsLaterSteps(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		h := host.helper(t)
		var got collector
		results, err := h.Do(t.Context(), []Request{
			{"before", "plain", []string{"x"}},
			{"checks", "fail", []string{"3"}},
			{"checks", "exit", []string{"4"}},
			{"checks", "plain", []string{"x"}},
			{"start", "plain", []string{"x"}},
			{"settle", "fail", []string{"1"}},
		}, got.each)
		if err != nil {
			t.Fatal(err)
		}
		want := []Result{{}, {Code: 3}, {Code: 4}, {}, {Skipped: true}, {Skipped: true}}
		if diff := cmp.Diff(want, results); diff != "" {
			t.Error(diff)
		}
		ends := []Reply{{0, EndKey, "0"}, {1, EndKey, "3"}, {2, EndKey, "4"}, {3, EndKey, "0"}, {4, EndKey, "skipped"}, {5, EndKey, "skipped"}}
		if diff := cmp.Diff(ends, got.ends); diff != "" {
			t.Error(diff)
		}
		results, err = h.Do(t.Context(), []Request{{"start", "plain", []string{"x"}}}, nil)
		if diff := cmp.Diff([]Result{{}}, results); diff != "" || err != nil {
			t.Error("the next batch starts afresh:", diff, err)
		}
	})
}

// awkward are texts that something on the way might want to understand.
var awkward = []string{
	"", " ", "plain", "a b", "-n", "--", "-e", "~", "~YQ==", "=", "=x", "*", "/*", "?", "[a-z]", `\`, `\n`, "\n", "\n\n\n", "a\n", "\na", "a\n\n",
	".", "x.", "'", `"`, `'"'`, "`id`", "$(id)", "${PATH}", "$PATH", "$", "!", "!!", ";id", "|id", "&", "<x", ">x", "#x", "\t", "\r\n", "%s", "%d%%",
	"größer", "日本語", "\x01\x7f", "\xff\xfe", "@1 end 0", "-----BEGIN", strings.Repeat("long ", 15_000), "x" + strings.Repeat("\n", 100),
}

func TestArgumentsArriveByteForByte(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		first := Request{"first", "args", awkward[:20]}
		var got collector
		h := host.helper(t, first)
		if _, err := h.First(t.Context(), got.each); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append([]string{"20"}, awkward[:20]...), got.texts(0)); diff != "" {
			t.Error("in the command string:", diff)
		}
		got = collector{}
		if _, err := h.Do(t.Context(), []Request{{"step", "args", awkward}, {"step", "args", nil}}, got.each); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append([]string{fmt.Sprint(len(awkward))}, awkward...), got.texts(0)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"0"}, got.texts(1)); diff != "" {
			t.Error("no arguments:", diff)
		}
	})
}

func TestRequestThatCannotBeSent(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		h := host.helper(t)
		for _, r := range []Request{{"a b", "plain", nil}, {"", "plain", nil}, {"a", "rm -rf", nil}, {"a", "", nil}, {"a", "plain", []string{"a\x00b"}}} {
			if _, err := h.Do(t.Context(), []Request{r}, nil); err == nil || errors.Is(err, ErrLost) {
				t.Errorf("%q: %v", r, err)
			}
		}
		if results, err := h.Do(t.Context(), nil, nil); results != nil || err != nil {
			t.Error("an empty batch:", results, err)
		}
		if _, err := h.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil); err != nil {
			t.Error("the helper is of no more use:", err)
		}
	})
}

func TestFirstRequests(t *testing.T) {
	for name, size := range map[string]int{"in the command": 10, "too long for the command": 200_000} {
		t.Run(name, func(t *testing.T) {
			onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
				text := strings.Repeat("x", size)
				h := host.helper(t, Request{"facts", "plain", []string{text}}, Request{"facts", "fail", []string{"7"}}, Request{"more", "plain", nil})
				if _, err := h.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil); err == nil {
					t.Error("Do went ahead of the first results")
				}
				var got collector
				results, err := h.First(t.Context(), got.each)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]Result{{}, {Code: 7}, {Skipped: true}}, results); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff([]string{text}, got.texts(0)); diff != "" {
					t.Error(diff)
				}
				if results, err := h.First(t.Context(), nil); results != nil || err != nil {
					t.Error("the second time:", results, err)
				}
			})
		})
	}
}

// Whatever a request prints, reads, changes or pretends, it changes nothing for the others.
func TestRequestsAreOnTheirOwn(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		h := host.helper(t)
		var got collector
		results, err := h.Do(t.Context(), []Request{
			{"a", "noise", nil},
			{"a", "forge", nil},
			{"a", "stdin", nil},
			{"a", "where", nil},
			{"a", "umask", nil},
			{"a", "child", []string{"verb", "two words"}},
			{"a", "exit", []string{"9"}},
			{"a", "plain", []string{"still here"}},
		}, got.each)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Result{{}, {}, {}, {}, {}, {}, {Code: 9}, {}}, results); diff != "" {
			t.Error(diff)
		}
		for i, want := range map[int][]string{0: nil, 1: nil, 2: {"nothing"}, 4: {"0077"}, 5: {"verb two words"}, 7: {"still here"}} {
			if diff := cmp.Diff(want, got.texts(i)); diff != "" {
				t.Errorf("request %d: %s", i, diff)
			}
		}
	})
}

func TestReadyAfterNoise(t *testing.T) {
	noise := "Welcome!\n@@READY 0123\n@@HELLO\n@1 end 0\nno newline at the end"
	onTargets(t, targetOptions{noise: noise}, func(t *testing.T, host *target) {
		h := host.helper(t, Request{"a", "plain", []string{"x"}})
		var got collector
		if _, err := h.First(t.Context(), got.each); err != nil || len(got.replies) != 1 {
			t.Error(err, got)
		}
	})
}

func TestNoShell(t *testing.T) {
	onTargets(t, targetOptions{nologin: true}, func(t *testing.T, host *target) {
		noLeaks(t)
		_, err := host.connect(t).Helper(t.Context(), testProgram, nil)
		wantError(t, err, ErrNoShell, "not available")
	})
}

func TestShellThatHangs(t *testing.T) {
	onTargets(t, targetOptions{hang: true}, func(t *testing.T, host *target) {
		noLeaks(t)
		entry := host.host(t)
		entry.ConnectTimeout = time.Second
		conn, err := dialer(t).Dial(t.Context(), entry)
		must(t, err)
		defer func() { _ = conn.Close() }()
		_, err = conn.Helper(t.Context(), testProgram, nil)
		wantError(t, err, ErrNoShell, "not ready within 1s")
		<-conn.Lost()
	})
}

func TestHostKeys(t *testing.T) {
	_, stranger := newKey(t, t.TempDir(), "stranger")
	strange := ssh.FingerprintSHA256(stranger)
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		shown := ssh.FingerprintSHA256(host.hostKey)
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.hostKey)))
		for _, test := range []struct {
			name, known, pin string
			want             error
			say              []string
		}{
			{name: "known", known: writeKnown(t, host.addr, host.hostKey)},
			{name: "one of two", known: writeKnown(t, host.addr, stranger, host.hostKey)},
			{name: "pinned", known: os.DevNull, pin: shown},
			{name: "pinned, known otherwise", known: writeKnown(t, host.addr, stranger), pin: shown},
			{"unknown", os.DevNull, "", ErrUnknownHostKey, []string{shown, os.DevNull}},
			{"file is missing", "/nonexistent", "", ErrUnknownHostKey, []string{shown}},
			{"changed", writeKnown(t, host.addr, stranger), "", ErrHostKeyChanged, []string{shown, strange, "known_hosts:1"}},
			{"known, pinned otherwise", writeKnown(t, host.addr, host.hostKey), strange, ErrHostKeyChanged, []string{shown, strange, "pins"}},
			{"revoked", writeFile(t, "k", []byte("@revoked * "+line+"\n")), "", ErrHostKeyRevoked, []string{shown, "k:1"}},
			{"revoked, known and pinned", writeFile(t, "k", []byte("* "+line+"\n@revoked * "+line)), shown, ErrHostKeyRevoked, []string{"k:2"}},
		} {
			t.Run(test.name, func(t *testing.T) {
				noLeaks(t)
				entry := host.host(t)
				entry.KnownHosts, entry.HostKey = []string{test.known}, test.pin
				conn, err := dialer(t).Dial(t.Context(), entry)
				if test.want != nil {
					wantError(t, err, test.want, test.say...)
					return
				}
				must(t, err)
				defer func() { _ = conn.Close() }()
				if conn.HostKey() != shown {
					t.Error("host key", conn.HostKey())
				}
			})
		}
	})
}

func TestLoginRefused(t *testing.T) {
	file, key := newKey(t, t.TempDir(), "other")
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		entry := host.host(t)
		entry.IdentityFiles = []string{file}
		_, err := dialer(t).Dial(t.Context(), entry)
		wantError(t, err, ErrAuth, ssh.FingerprintSHA256(key), file)
	})
}

// Output that nobody asked for neither stops the host nor fills our memory.
func TestFloodIsDrained(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		h := host.helper(t)
		before := heap()
		results, err := h.Do(t.Context(), []Request{
			{"a", "flood", []string{fmt.Sprint(300 << 20)}},
			{"a", "err", []string{strings.Repeat("e", 100_000)}},
			{"a", "err", []string{strings.Repeat("e", 100_000) + "the end"}},
			{"a", "plain", []string{"x"}},
		}, nil)
		must(t, err)
		if diff := cmp.Diff(make([]Result, 4), results); diff != "" {
			t.Error(diff)
		}
		if grown := heap() - before; grown > 16<<20 {
			t.Errorf("%d MiB more on the heap", grown>>20)
		}
		must(t, h.Close())
		if kept := h.Stderr(); len(kept) > 3*captureLimit || !strings.HasSuffix(kept, "the end") || !strings.Contains(kept, "bytes left out") {
			t.Errorf("kept %d bytes of stderr: %.100q", len(kept), kept)
		}
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// When the time is up in the middle of a request, nobody knows what became of it, and the connection is not used again.
func TestTimeIsUpInARequest(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		h := host.helper(t)
		ctx, cancel := context.WithCancel(t.Context())
		results, err := h.Do(ctx, []Request{{"a", "plain", []string{"x"}}, {"b", "child", []string{"x"}}, {"b", "hang", nil}},
			func(r Reply) {
				if r.Request == 1 && r.Key != EndKey {
					cancel()
				}
			})
		wantError(t, err, ErrLost)
		if !errors.Is(err, context.Canceled) {
			t.Error("no reason given:", err)
		}
		if diff := cmp.Diff([]Result{{}, {Code: Unknown}, {Code: Unknown}}, results); diff != "" && results[1].Code == Unknown {
			t.Error(diff)
		}
		<-h.conn.Lost()
		_, err = h.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil)
		wantError(t, err, ErrLost)
	})
}

func TestTimeIsUpBeforeARequest(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		h := host.helper(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Do(ctx, []Request{{"a", "plain", []string{"x"}}}, nil); errors.Is(err, ErrLost) || !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, err := h.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil); err != nil {
			t.Error("nothing was sent, and yet:", err)
		}
	})
}

// proxied puts a proxy between the dialer and a host.
func proxied(t testing.TB, host *target, roundTrip time.Duration) (*talk.Proxy, *target) {
	t.Helper()
	proxy, err := talk.Listen(host.addr, roundTrip)
	must(t, err)
	t.Cleanup(func() { _ = proxy.Close() })
	through := *host
	through.addr = proxy.Addr()
	return proxy, &through
}

func TestCutInARequest(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		proxy, host := proxied(t, host, 0)
		h := host.helper(t)
		_, err := h.Do(t.Context(), []Request{{"a", "child", []string{"x"}}, {"a", "hang", nil}},
			func(Reply) { proxy.Cut() })
		wantError(t, err, ErrLost)
		if errors.Is(err, ErrUnreachable) {
			t.Error(err)
		}
	})
}

func TestCallsWaitForEachOther(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		h := host.helper(t)
		done := make(chan error)
		for range 8 {
			go func() {
				var got collector
				_, err := h.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}, {"b", "plain", []string{"y"}}}, got.each)
				if err == nil && !cmp.Equal(got.replies, []Reply{{0, "text", "x"}, {1, "text", "y"}}) {
					err = fmt.Errorf("%v", got.replies)
				}
				done <- err
			}()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestTwoHelpersOnOneConnection(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		conn := host.connect(t)
		one, err := conn.Helper(t.Context(), testProgram, nil)
		must(t, err)
		two, err := conn.Helper(t.Context(), testProgram, nil)
		must(t, err)
		for _, h := range []*Helper{one, two, one} {
			if _, err := h.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil); err != nil {
				t.Error(err)
			}
		}
		must(t, one.Close())
		if _, err := two.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil); err != nil {
			t.Error("closing one helper ended the other:", err)
		}
		must(t, two.Close())
		must(t, two.Close())
		must(t, conn.Close())
		must(t, conn.Close())
	})
}

func TestCloseWithARequestRunning(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		h := host.helper(t)
		done := make(chan error)
		begun := make(chan struct{})
		go func() {
			_, err := h.Do(context.WithoutCancel(t.Context()), []Request{{"a", "child", []string{"x"}}, {"a", "hang", nil}},
				func(r Reply) {
					if r.Key != EndKey {
						close(begun)
					}
				})
			done <- err
		}()
		<-begun
		must(t, h.conn.Close())
		wantError(t, <-done, ErrLost)
	})
}

// A write that has begun comes to its end on the host, whatever becomes of the connection.
func TestWriteOutlivesTheConnection(t *testing.T) {
	host := startOpenSSH(t, targetOptions{})
	proxy, host := proxied(t, host, 0)
	h := host.helper(t)
	file := filepath.Join(t.TempDir(), "written")
	_, err := h.Do(t.Context(), []Request{{"a", "child", []string{"x"}}, {"a", "file", []string{file, "1"}}},
		func(Reply) { proxy.Cut() })
	wantError(t, err, ErrLost)
	for range 400 {
		if content, _ := os.ReadFile(file); string(content) == "done" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the write stopped half way")
}

// wantError checks the sentinel, what is said, and that a person is told what to do where anything can be done.
func wantError(t testing.TB, err error, sentinel error, say ...string) {
	t.Helper()
	var e *Error
	if !errors.Is(err, sentinel) || !errors.As(err, &e) {
		t.Fatalf("error %v, want %v", err, sentinel)
	}
	for _, word := range say {
		if !strings.Contains(e.Error()+"\n"+e.Hint, word) {
			t.Errorf("%q is not in %q", word, e)
		}
	}
	if e.Host != "web-1" || e.Op == "" || strings.Contains(e.Error(), "\n") {
		t.Errorf("%#v", e)
	}
}

// noLeaks checks, once everything of the test is closed, that nothing of this package or of the library runs on.
func noLeaks(t *testing.T) {
	t.Helper()
	before := talkers()
	t.Cleanup(func() {
		var left []string
		for range 100 {
			left = slices.DeleteFunc(talkers(), func(stack string) bool { return slices.Contains(before, stack) })
			if len(left) == 0 {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("still running:\n%s", strings.Join(left, "\n\n"))
	})
}

// talkers are the goroutines that belong to a client connection, by their number and origin.
func talkers() []string {
	buffer := make([]byte, 4<<20)
	stacks := strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n")
	return slices.DeleteFunc(stacks, func(stack string) bool {
		ours := strings.Contains(stack, "crypto/ssh.(*mux)") || strings.Contains(stack, "crypto/ssh.(*Session)") ||
			strings.Contains(stack, "crypto/ssh.(*handshakeTransport)") || strings.Contains(stack, "crypto/ssh.(*Client)") ||
			strings.Contains(stack, "remote.(*channel)") || strings.Contains(stack, "remote.newConn")
		return !ours || strings.Contains(stack, "sshtest.") || strings.Contains(stack, "NewServerConn")
	})
}
