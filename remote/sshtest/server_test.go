package sshtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func get(t *testing.T, client *ssh.Client, url string) (int, string, error) {
	t.Helper()
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return client.DialContext(ctx, network, addr)
		}}}
	response, err := web.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func TestHTTPFromTheHost(t *testing.T) {
	h := start(t, Options{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Host, r.URL.Path)
	})})
	put(t, h, unitPath, service("--listen=127.0.0.1:8003", "--slow-start=3s"))
	client := connect(t, h, "deploy")
	if _, _, err := get(t, client, "http://127.0.0.1:8003/x"); err == nil {
		t.Error("answered although nothing listens")
	}
	if err := h.StartUnit("web"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(t, client, "http://127.0.0.1:8003/x"); err == nil {
		t.Error("answered before it was ready")
	}
	h.Advance(4 * time.Second)
	for _, url := range []string{"http://127.0.0.1:8003/x", "http://localhost:8003/x"} {
		if code, body, err := get(t, client, url); err != nil || code != 200 || !strings.HasSuffix(body, "/x") {
			t.Errorf("%s: %d %q %v", url, code, body, err)
		}
	}
	if _, _, err := get(t, client, "http://192.0.2.1:8003/x"); err == nil {
		t.Error("answered on an address that nothing listens on")
	}
	h.Disconnect()
	if _, err := client.NewSession(); err == nil {
		t.Error("still connected")
	}
}

// owner is how the product finds out whose socket it is.
const owner = `systemctl start web
cg=$(systemctl show -p ControlGroup --value web); mp=$(systemctl show -p MainPID --value web)
while read -r _ local _ st _ _ _ _ _ inode _; do
	[ "$st" = 0A ] && [ "${local##*:}" = "$(printf '%04X' 8003)" ] || continue
	echo "$local"
	for pid in $(cat "/sys/fs/cgroup$cg/cgroup.procs" "/sys/fs/cgroup$cg"/*/cgroup.procs 2>/dev/null); do
		case $(ls -l "/proc/$pid/fd") in *"socket:[$inode]"*) echo "owned by main: $([ "$pid" = "$mp" ] && echo yes)"; break;; esac
	done
done <"/proc/$mp/net/tcp"; for d in /proc/[0-9]*/fd; do echo "$d"; done | wc -l`

func TestListenerBelongsToTheUnit(t *testing.T) {
	h := start(t, Options{App: App{Listen: []string{"127.0.0.1:8003"}}})
	put(t, h, unitPath, service())
	expect(t, h, owner, "0100007F:1F43\nowned by main: yes\n3\n")
}

func TestListenerOfSomebodyElse(t *testing.T) {
	h := start(t, Options{App: App{Listen: []string{"127.0.0.1:8003"}}})
	put(t, h, unitPath, service())
	release, err := h.Hold(":8003")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, h, owner, "00000000:1F43\n4\n")
	release()
	run(t, h, `systemctl restart web`)
	expect(t, h, owner, "0100007F:1F43\nowned by main: yes\n3\n")
}

func TestLogin(t *testing.T) {
	t.Run("another key", func(t *testing.T) {
		h, other := start(t, Options{}), start(t, Options{})
		key, err := ssh.ParsePrivateKey(other.ClientKeyPEM())
		if err != nil {
			t.Fatal(err)
		}
		_, err = ssh.Dial("tcp", h.Addr(), &ssh.ClientConfig{User: "deploy", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
			HostKeyCallback: ssh.FixedHostKey(h.HostKey())})
		if err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
			t.Errorf("got %v", err)
		}
	})
	tests := []struct {
		name   string
		opts   Options
		script string
		out    string
		status int
	}{
		{"sudo", Options{}, `id -un; sudo -n -- /bin/sh -c 'id -u; echo "$0 $1"' a b`, "deploy\n0\na b\n", 0},
		{"no sudo", Options{NoSudo: true}, `sudo -n -- id -u`, "", 1},
		{"noise", Options{Noise: "welcome\n"}, `echo x`, "welcome\nx\n", 0},
		{"nologin", Options{Nologin: true}, `echo x`, "This account is currently not available.\n", 1},
		{"no right to write", Options{}, `echo x >/etc/x; echo $?; mkdir /etc/y; echo $?; echo y >z && cat z`, "1\n1\ny\n", 0},
		{"no right to start", Options{}, `systemctl restart web; echo $?`, "1\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t, tt.opts)
			got := runAs(t, connect(t, h, "deploy"), tt.script, "")
			if got.out != tt.out || got.status != tt.status {
				t.Errorf("got %+v, want %q and %d", got, tt.out, tt.status)
			}
		})
	}
}

func TestSilent(t *testing.T) {
	h := start(t, Options{Silent: true})
	conn, err := net.Dial("tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("SSH-2.0-x\r\n")); err != nil {
		t.Error(err)
	}
	h.Close()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("said %d bytes, %v", n, err)
	}
}

func TestRebootLeavesTheOutcomeUnknown(t *testing.T) {
	h := start(t, Options{})
	s, err := connect(t, h, "root").NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s.Stdout = &out
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(`read -r line; echo "$line"`); err != nil {
		t.Fatal(err)
	}
	h.Reboot()
	in.Close()
	var missing *ssh.ExitMissingError
	if err := s.Wait(); !errors.As(err, &missing) {
		t.Errorf("got %v", err)
	}
}

func TestConversation(t *testing.T) {
	h := start(t, Options{})
	got := runAs(t, connect(t, h, "root"), `while read -r a b; do echo "got $b $a" ; ( cat ) </dev/null; done; echo end >&2`, "1 2\n3 4\n")
	if got.out != "got 2 1\ngot 4 3\n" || got.err != "end\n" {
		t.Errorf("got %+v", got)
	}
}

func TestNothingIsLeftAfterClose(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		h, err := New("x", Options{})
		if err != nil {
			t.Fatal(err)
		}
		client := connect(t, h, "root")
		put(t, h, "/run/guard.sh", "while :; do sleep 1; done")
		runAs(t, client, arm, "")
		s, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(`read -r x; echo "$x"`); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		client.Close()
	}
	for range 100 { // the client's own goroutines end a little later
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
}
