package remote

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// helper.sh has to mean the same to every shell that may be /bin/sh, and to the interpreter of the embedded hosts.
func TestHelperInEveryShell(t *testing.T) {
	program := testProgram + "\n" + helperScript
	first := Request{"a", "plain", []string{"first"}}.line(1, "id.0")
	requests := Request{"a", "args", awkward[:len(awkward)-2]}.line(2, "id.1") +
		Request{"b", "fail", []string{"3"}}.line(2, "id.2") +
		Request{"b", "noise", nil}.line(2, "id.3") +
		Request{"c", "noise", nil}.line(2, "id.4") +
		Request{"d", "stdin", nil}.line(3, "id.5") +
		Request{"d", "exit", []string{"9"}}.line(3, "id.7") +
		"3 d id.9 plain =half-a-line-is-not-run"
	_, word := bootstrapWord(first)
	for name, run := range shells() {
		t.Run(name, func(t *testing.T) {
			out, err := run(t.Context(), program, []string{"@helper", "NONCE", word}, strings.NewReader(requests))
			must(t, err)
			compareReplies(t, out)
		})
	}
}

func bootstrapWord(first string) (command, word string) {
	command, _ = bootstrap("", "N", first)
	return command, command[strings.LastIndexByte(command, ' ')+1:]
}

func compareReplies(t *testing.T, out string) {
	t.Helper()
	var got []event
	ready := false
	for line := range strings.SplitSeq(out, "\n") {
		if line == "@@READY NONCE" {
			ready = true
		}
		if ev, ok := parseReply(line); ok && !strings.HasPrefix(line, "@@") {
			got = append(got, ev)
		}
	}
	if !ready {
		t.Fatalf("not ready: %q", out)
	}
	var texts []string
	for _, ev := range got {
		texts = append(texts, ev.id+" "+ev.text)
	}
	want := []string{"id.0 first", "id.0 0", "id.1 " + strconv.Itoa(len(awkward)-2)}
	for _, arg := range awkward[:len(awkward)-2] {
		want = append(want, "id.1 "+arg)
	}
	want = append(want, "id.1 0", "id.2 3", "id.3 0", "id.4 skipped", "id.5 nothing", "id.5 0", "id.7 9")
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Error(diff)
	}
}

type shellFunc func(ctx context.Context, program string, args []string, stdin io.Reader) (string, error)

// shells are those of this machine, and the interpreter.
func shells() map[string]shellFunc {
	all := map[string]shellFunc{"mvdan.cc/sh": interpret}
	for name, argv := range map[string][]string{
		"dash": {"dash"}, "bash": {"bash", "--posix"}, "busybox": {"busybox", "sh"}, "mksh": {"mksh"}, "yash": {"yash"}, "ksh": {"ksh"},
	} {
		if path, err := exec.LookPath(argv[0]); err == nil {
			all[name] = func(ctx context.Context, program string, args []string, stdin io.Reader) (string, error) {
				cmd := exec.CommandContext(ctx, path, append(append(argv[1:], "-c", program, "seatrial"), args...)...)
				cmd.Stdin = stdin
				out, err := cmd.Output()
				return string(out), err
			}
		}
	}
	return all
}

func interpret(ctx context.Context, program string, args []string, stdin io.Reader) (string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(program), "seatrial")
	if err != nil {
		return "", err
	}
	var out strings.Builder
	runner, err := interp.New(interp.StdIO(stdin, &out, io.Discard), interp.Params(append([]string{"--"}, args...)...))
	if err != nil {
		return "", err
	}
	err = runner.Run(ctx, file)
	return out.String(), err
}

func TestHelperPassesShellcheck(t *testing.T) {
	path, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("NOT CHECKED: there is no shellcheck: apt-get install shellcheck")
	}
	if out, err := exec.CommandContext(t.Context(), path, "-s", "sh", "helper.sh").CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}

// A line that the dying connection has cut short is no request, however complete it looks.
func TestHalfARequestIsNotRun(t *testing.T) {
	for name, run := range shells() {
		out, err := run(t.Context(), testProgram+"\n"+helperScript, []string{"@helper", "NONCE", "-"}, strings.NewReader("1 a id.1 plain =x"))
		if err != nil || strings.Contains(out, "id.1") {
			t.Errorf("%s: %v %q", name, err, out)
		}
	}
}

// An argument that is no base64 at all must not reach the program as something else.
func TestHelperRefusesBadArguments(t *testing.T) {
	for name, run := range shells() {
		if name == "busybox" {
			continue // its base64 leaves out what it does not know
		}
		out, err := run(t.Context(), testProgram+"\n"+helperScript, []string{"@helper", "NONCE", "-"}, strings.NewReader("1 a id.1 plain ~!\n"))
		if err != nil || !strings.Contains(out, "@id.1 end 125\n") {
			t.Errorf("%s: %v %q", name, err, out)
		}
	}
}

// The command string is read by whatever login shell the account has, before any of ours is.
func TestCommandInEveryLoginShell(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: the helper gets ready at once only for root")
	}
	command, _ := bootstrap(testProgram, "NONCE", Request{"a", "args", awkward[:20]}.line(1, "id.0"))
	for _, name := range []string{"sh", "dash", "bash", "zsh", "fish", "mksh", "tcsh", "busybox"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		argv := []string{"-c", command}
		if name == "busybox" {
			argv = append([]string{"sh"}, argv...)
		}
		out, err := exec.CommandContext(t.Context(), path, argv...).Output()
		if err != nil || !strings.Contains(string(out), "@@READY NONCE\n") || !strings.Contains(string(out), "@id.0 end 0\n") {
			t.Errorf("%s: %v %.300q", name, err, out)
		}
	}
}
