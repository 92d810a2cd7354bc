package sshtest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// start makes a host that the test closes.
func start(t *testing.T, opts Options) *Host {
	t.Helper()
	h, err := New("web-1", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// connect logs in.
func connect(t *testing.T, h *Host, user string) *ssh.Client {
	t.Helper()
	key, err := ssh.ParsePrivateKey(h.ClientKeyPEM())
	if err != nil {
		t.Fatal(err)
	}
	client, err := ssh.Dial("tcp", h.Addr(), &ssh.ClientConfig{User: user,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.FixedHostKey(h.HostKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// ran is what a script printed and how it ended.
type ran struct {
	out, err string
	status   int
}

// run runs a script as root over SSH, in a session of its own.
func run(t *testing.T, h *Host, script string) ran {
	t.Helper()
	return runAs(t, connect(t, h, "root"), script, "")
}

func runAs(t *testing.T, client *ssh.Client, script, stdin string) ran {
	t.Helper()
	s, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out, errs bytes.Buffer
	s.Stdout, s.Stderr, s.Stdin = &out, &errs, io.Reader(strings.NewReader(stdin))
	err = s.Run(script)
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return ran{out.String(), errs.String(), 0}
	case errors.As(err, &exit):
		return ran{out.String(), errs.String(), exit.ExitStatus()}
	}
	t.Fatalf("running %q: %v", script, err)
	return ran{}
}

func TestScripts(t *testing.T) {
	h := start(t, Options{})
	tests := []struct {
		name, script, out string
		status            int
	}{
		{"echo", `echo hello`, "hello\n", 0},
		{"status", `exit 7`, "", 7},
		{"pipe", `printf 'b\na\nb\n' | sort -u | tr '\n' ,`, "a,b,", 0},
		{"hex", `printf '%04X %.3s|%-4s|%3d\n' 8003 abcdef x 7`, "1F43 abc|x   |  7\n", 0},
		{"printf repeats", `printf '%s=%s\n' a 1 b 2; printf '%s\n'`, "a=1\nb=2\n\n", 0},
		{"printf %b", `printf '%b|' 'a\nb' '\0101\c' z`, "a\nb|A", 0},
		{"umask", `umask 077; echo x >/tmp/x; mkdir /tmp/d; stat -c '%a %U %n' /tmp/x /tmp/d`, "600 root /tmp/x\n700 root /tmp/d\n", 0},
		{"umask of a subshell", `umask 077; (umask 022; echo x >/tmp/u1; /bin/sh -c 'echo x >/tmp/u2; umask'); echo x >/tmp/u3; stat -c %a /tmp/u1 /tmp/u2 /tmp/u3; env | grep -c UMASK`, "0022\n644\n644\n600\n0\n", 1},
		{"default umask", `echo x >/tmp/y; stat -c %a /tmp/y`, "644\n", 0},
		{"atomic write", `cd /tmp; echo a >f; printf new | { cat >f.tmp && sync f.tmp && mv -fT f.tmp f && sync .; }; cat f; [ ! -e f.tmp ]`, "new", 0},
		{"nested shell", `export A=1; B=2; /bin/sh -c 'echo "$0 $A ${B-unset} $*"' name x y`, "name 1 unset x y\n", 0},
		{"eval last", `P='f() { echo "f $1"; }
f "$1"'; export P; /bin/sh -c 'eval "$P"' s arg`, "f arg\n", 0},
		{"exit trap", `/bin/sh -c 'trap "echo bye" EXIT; trap "" PIPE HUP; exit 3'; echo $?`, "bye\n3\n", 0},
		{"heredoc", "while read -r a b; do echo \"$b $a\"; done <<END\n1 2\n3 4\nEND\n", "2 1\n4 3\n", 0},
		{"command -v", `command -v systemctl cd; command -v no-such; echo $?`, "/usr/bin/systemctl\ncd\n1\n", 0},
		{"env -i", `A=1; export A; env -i B=2 /bin/sh -c 'echo "${A-none} $B"'`, "none 2\n", 0},
		{"timeout", `timeout 5 sleep 10; echo $?; timeout 5 sleep 2; echo $?`, "124\n0\n", 0},
		{"timeout of a shell", `timeout -k 1 3 /bin/sh -c 'while :; do sleep 1; done'; echo $?`, "124\n", 0},
		{"uptime", `read -r a _ </proc/uptime; sleep 90; read -r b _ </proc/uptime; echo $((${b%.*} - ${a%.*}))`, "90\n", 0},
		{"glob", `mkdir -p /tmp/g; touch /tmp/g/b /tmp/g/a; for f in /tmp/g/*; do echo "$f"; done`, "/tmp/g/a\n/tmp/g/b\n", 0},
		{"user command", `cd /srv && env -i ./bin/thing --flag 'a b'; setpriv --reuid=www-data -- nonsense`, "simulated\nsimulated\n", 0},
		{"pipe in a user command", `env -i /bin/sh -c 'unheard | of; no-such'`, "simulated\nsimulated\n", 0},
		{"unknown command", `./bin/thing; echo $?; env A=1 thing; echo $?; timeout 5 thing; echo $?; sudo thing; echo $?; thing | cat; thing`, "127\n127\n127\n127\n", 127},
		{"source", `echo 'X=7' >/tmp/s; . /tmp/s; echo $X`, "7\n", 0},
		{"kill self", `/bin/sh -c 'kill -9 $$; echo no'; echo $?`, "137\n", 0},
		{"base64", `printf 'a b\n\n' | base64 | base64 -d | wc -c`, "5\n", 0},
		{"digest", `set -- $(printf x | sha256sum); echo "$1"`, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n", 0},
		{"head and tail", `printf '1\n2\n3\n4\n' | head -n 3 | tail -n +2; printf abcdef | tail -c 2`, "2\n3\nef", 0},
		{"rm -rf", `mkdir -p /tmp/r/s; touch /tmp/r/s/f; rmdir /tmp/r 2>/dev/null; echo $?; rm -rf /tmp/r; [ -e /tmp/r ] || echo gone`, "1\ngone\n", 0},
		{"cut", `echo a:b:c | cut -d: -f2-; echo 0123456789 | cut -c1-3`, "b:c\n012\n", 0},
		{"grep", `printf 'ab\ncd\n' | grep -qx cd && printf 'a.b\n' | grep -F a.b`, "a.b\n", 0},
		{"id", `id -u; id -un; id -u www-data`, "0\nroot\n33\n", 0},
		{"test numbers", `[ "" -ge 1 ]; echo $?`, "2\n", 0},
		{"df", `df -Pk /run /etc | wc -l`, "3\n", 0},
		{"setpriv", `setpriv --reuid=www-data --regid=33 --init-groups -- id -un`, "www-data\n", 0},
		{"ls fd", `ls -l /proc/1/fd | head -n 1 | cut -d' ' -f9-`, "0 -> /dev/null\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, h, tt.script)
			if got.out != tt.out || got.status != tt.status {
				t.Errorf("%s\n got %q, status %d (stderr %q)\nwant %q, status %d", tt.script, got.out, got.status, got.err, tt.out, tt.status)
			}
		})
	}
}
