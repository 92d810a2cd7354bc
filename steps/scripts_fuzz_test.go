package steps

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/remote/sshtest"
)

// parsers is the product's program with requests of the tests' own: what the host's side understands of a text.
const parsers = `
sc() { printf '%s\n' "$shown"; }
sleep() { :; }
run() {
	use_service web
	case $1 in
	show)
		shown=$2
		show web.service
		for value in "$LoadState" "$ActiveState" "$SubState" "$Result" "$NRestarts" "$MainPID" "$InvocationID" "$FragmentPath" "$UnitFileState" "$Type" "$Job"; do
			say64 value "$value"
		done
		;;
	record)
		mkdir -p "$S" && printf '%s' "$2" >"$S/record" || return 1
		load
		for value in "$state" "$token" "$booted" "$release" "$previous" "$owner" "$since"; do say64 value "$value"; done
		printf '%s' "$files" | while read -r path old new; do say64 file "$path $old $new"; done
		;;
	again) load && save "$state" && load && say64 value "$state $token $release" ;;
	esac
}
`

// scripted runs the program on one host for all inputs.
func scripted(f *testing.F) func(*testing.T, ...remote.Request) (values []string, code int) {
	host, err := sshtest.New("web-1", sshtest.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = host.Close() })
	dir := f.TempDir()
	key, known := filepath.Join(dir, "key"), filepath.Join(dir, "known_hosts")
	for name, text := range map[string]string{key: string(host.ClientKeyPEM()), known: host.KnownHostsLine() + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	conn, err := (&remote.Dialer{Home: dir}).Dial(f.Context(), remote.Host{Name: "web-1", Address: host.Addr(), User: "deploy",
		IdentityFiles: []string{key}, KnownHosts: []string{known}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = conn.Close() })
	helper, err := conn.Helper(f.Context(), Program()+parsers, nil)
	if err != nil {
		f.Fatal(err)
	}
	return func(t *testing.T, batch ...remote.Request) (values []string, code int) {
		t.Helper()
		results, err := helper.Do(t.Context(), batch, func(r remote.Reply) {
			if r.Key == "value" {
				values = append(values, r.Text)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if ran := host.Commands(); len(ran) > 0 {
			t.Fatalf("the text was carried out: %v", ran)
		}
		return values, results[len(results)-1].Code
	}
}

// textual is what a program can have printed, and a variable of the embedded hosts' shell can hold.
func textual(text string) bool { return !strings.ContainsAny(text, "\x00\r") && utf8.ValidString(text) }

// Whatever systemctl prints, the host's scripts take from it just what the preview's parser does, and carry nothing of it out.
func FuzzShowOnTheHost(f *testing.F) {
	f.Add("LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=3\nMainPID=12\nJob=\nFragmentPath=/etc/systemd/system/web.service")
	f.Add("LoadState=loaded\nType=$(touch /x)\nResult=`id`;id\nSubState='\"\\\nLoadState=masked")
	f.Add("Description=a=b\nIFS=x\nPATH=/\nstate=TRIAL\n=\n\n LoadState=x\nLoadState")
	f.Add("")
	ask := scripted(f)
	f.Fuzz(func(t *testing.T, text string) {
		if !textual(text) {
			return
		}
		got, code := ask(t, remote.Request{Step: "show", Verb: "show", Args: []string{text}})
		for i := range got {
			got[i] = bare(got[i])
		}
		kv := map[string]string{"NRestarts": "0", "MainPID": "0"}
		for _, line := range strings.Split(text, "\n") {
			key, value, _ := strings.Cut(strings.TrimLeft(line, "="), "=")
			kv[key] = bare(value)
		}
		var want []string
		for _, key := range []string{"LoadState", "ActiveState", "SubState", "Result", "NRestarts", "MainPID", "InvocationID", "FragmentPath", "UnitFileState", "Type", "Job"} {
			want = append(want, kv[key])
		}
		if code != 0 || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("status %d\n%q\nis understood as %q\nwant          %q", code, text, got, want)
		}
	})
}

// bare: what read makes of separators at the ends of a line or of its last field is the shell's own affair. systemd prints none.
func bare(value string) string { return strings.Trim(value, "=") }

// Whatever a record holds, the scripts read it as the preview does or refuse it, carry nothing of it out, and write it again
// with the same meaning.
func FuzzRecordOnTheHost(f *testing.F) {
	f.Add("version=1\nstate=TRIAL\ntoken=tok\nboot=b/\nrelease=r2\nprevious=r1\nowner=me@here (pid 1)\nsince=now\nfile=/a b c\nrun=u /a 1 active enabled\n")
	f.Add("version=2\nstate=ORBIT\n")
	f.Add("version=1\nstate=$(touch /x)\ntoken=`id`\nowner='\"\\ ; id\nfile=-n * ?\nrun=\n")
	f.Add("state=TRIAL\ntoken=torn")
	f.Add("")
	ask := scripted(f)
	f.Fuzz(func(t *testing.T, text string) {
		if !textual(text) {
			return
		}
		got, code := ask(t, remote.Request{Step: "record", Verb: "record", Args: []string{text}})
		facts, err := ParseFacts("@host\nboot=b\n@record\n" + text + "\n")
		if err != nil || strings.Contains("\n"+text, "\n@") {
			return
		}
		r := facts.Record
		if code == StatusRefused {
			if !strings.HasPrefix(r.State, "version ") {
				t.Errorf("%q is refused, and the preview reads %+v", text, r)
			}
			return
		}
		if code != 0 || len(got) != 7 {
			t.Fatalf("%q: status %d, %q", text, code, got)
		}
		if !strings.HasSuffix(text, "\n") || strings.HasPrefix(r.State, "version ") || strings.Contains(text, "=\n") {
			return // torn, or without a version: the preview is the stricter one
		}
		if state := strings.TrimPrefix(got[0], "IDLE"); state != strings.TrimPrefix(r.State, "IDLE") || got[1] != r.Token || got[3] != r.Release {
			t.Errorf("%q\nis understood as %q\nthe preview as  %+v", text, got, r)
		}
		again, code := ask(t, remote.Request{Step: "again", Verb: "again"})
		if want := got[0] + " " + got[1] + " " + got[3]; code != 0 || len(again) != 1 || again[0] != want {
			t.Errorf("%q\nwas written again, status %d, as %q, want %q", text, code, again, want)
		}
	})
}
