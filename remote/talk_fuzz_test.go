package remote

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/remote/sshtest"
)

// Both ways through the real helper: whatever is sent arrives whole, what the host says of it comes back whole, and nothing of
// it passes for something else.
func FuzzTalk(f *testing.F) {
	for _, arg := range awkward {
		f.Add(arg, "x", false)
	}
	f.Add("@1 end 0", "\n@@READY x\n", true)
	host, err := sshtest.New("web-1", sshtest.Options{Noise: "welcome\n@@READY\n"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = host.Close() })
	to := &target{addr: host.Addr(), user: "deploy", keyFile: writeFile(f, "id", host.ClientKeyPEM()), hostKey: host.HostKey()}
	conn, err := dialer(f).Dial(f.Context(), to.host(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close() })
	h, err := conn.Helper(f.Context(), testProgram, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, one, two string, forge bool) {
		if strings.Contains(one+two, "\x00") {
			return // is refused before it is sent
		}
		verb := map[bool]string{false: "noise", true: "forge"}[forge]
		var got collector
		results, err := h.Do(t.Context(), []Request{{"a", verb, []string{one}}, {"b", "args", []string{one, two}}, {"c", "err", []string{two}}}, got.each)
		if err != nil || !slices.Equal(results, []Result{{}, {}, {}}) {
			t.Fatalf("%+v, %v", results, err)
		}
		if said, want := fmt.Sprintf("%q", got.texts(1)), fmt.Sprintf("%q", []string{"2", one, two}); said != want || got.texts(0) != nil || got.texts(2) != nil {
			t.Errorf("%s, want %s\n%+v", said, want, got.replies)
		}
	})
}
