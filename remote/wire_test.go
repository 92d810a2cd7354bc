package remote

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestParseReply(t *testing.T) {
	for line, want := range map[string]*event{
		"@a.1 text =hello":  {id: "a.1", key: "text", text: "hello"},
		"@a.1 text =":       {id: "a.1", key: "text"},
		"@a.1 text = a  b ": {id: "a.1", key: "text", text: " a  b "},
		"@a.1 text ~YQpi":   {id: "a.1", key: "text", text: "a\nb"},
		"@a.1 text ~":       {id: "a.1", key: "text"},
		"@a.1 end 0":        {id: "a.1", key: EndKey, text: "0", end: true},
		"@a.1 end 137":      {id: "a.1", key: EndKey, text: "137", end: true, result: Result{Code: 137}},
		"@a.1 end skipped":  {id: "a.1", key: EndKey, text: "skipped", end: true, result: Result{Skipped: true}},
		"":                  nil,
		"@":                 nil,
		"@ text =x":         nil,
		"@a.1":              nil,
		"@a.1 end":          nil,
		"@a.1 end ":         nil,
		"@a.1 end -1":       nil,
		"@a.1 end +1":       nil,
		"@a.1 end 99999":    nil,
		"@a.1 end =x":       nil,
		"@a.1 text x":       nil,
		"@a.1 text ~!":      nil,
		"@a.1  =x":          nil,
		"a.1 text =x":       nil,
		" @a.1 text =x":     nil,
	} {
		got, ok := parseReply(line)
		if ok != (want != nil) {
			t.Errorf("%q: %v %+v", line, ok, got)
			continue
		}
		if want == nil {
			continue
		}
		want.key = map[bool]string{true: got.key, false: want.key}[got.end]
		if got != *want {
			t.Errorf("%q: %+v, want %+v", line, got, *want)
		}
	}
}

func FuzzParseReply(f *testing.F) {
	for _, line := range []string{"@a.1 text =hello", "@a.1 text ~YQpi", "@a.1 end 0", "@a.1 end skipped", "@@READY x", "@ a =", "@a end =x"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		ev, ok := parseReply(line)
		if !ok {
			return
		}
		if ev.id == "" || strings.ContainsAny(ev.id, " ") || ev.result.Code < 0 || ev.result.Code > 65535 || (ev.result.Skipped && !ev.end) {
			t.Errorf("%q: %+v", line, ev)
		}
		if !ev.end && !strings.HasPrefix(line, "@"+ev.id+" "+ev.key+" ") {
			t.Errorf("%q: %+v", line, ev)
		}
	})
}

// Whatever the arguments are, a request is one line of words that no shell could misread, and they come back from it whole.
func FuzzRequestLine(f *testing.F) {
	for _, arg := range awkward {
		f.Add(arg, "x")
	}
	f.Add("a\x00b", "")
	f.Fuzz(func(t *testing.T, one, two string) {
		r := Request{"step", "verb", []string{one, two}}
		if err := r.check(); err != nil {
			if !strings.Contains(one+two, "\x00") {
				t.Error(err)
			}
			return
		}
		line, ended := strings.CutSuffix(r.line(7, "id.1"), "\n")
		if !ended || strings.Trim(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._:@%+,-=~ ") != "" {
			t.Fatalf("%q", line)
		}
		words := strings.Split(line, " ")
		if len(words) != 6 || !slices.Equal(words[:4], []string{"7", "step", "id.1", "verb"}) {
			t.Fatalf("%q", line)
		}
		for i, want := range r.Args {
			if got, err := decodeWord(words[4+i]); got != want || err != nil {
				t.Errorf("%q came back as %q, %v", want, got, err)
			}
		}
	})
}

func TestLineReader(t *testing.T) {
	long := strings.Repeat("x", replyLimit+5000)
	fits := strings.Repeat("y", replyLimit-1)
	text := "one\n\n" + long + "\n" + fits + "\nlast\nhalf a li"
	type line struct {
		text  string
		whole bool
	}
	want := []line{{"one", true}, {"", true}, {long[:replyLimit], false}, {fits, true}, {"last", true}}
	for name, in := range map[string]io.Reader{
		"at once":     strings.NewReader(text),
		"in halves":   iotest.HalfReader(strings.NewReader(text)),
		"with errors": iotest.DataErrReader(strings.NewReader(text)),
	} {
		lines := newLineReader(in)
		var got []line
		for {
			part, whole, err := lines.next()
			if err != nil {
				break
			}
			got = append(got, line{string(part), whole})
		}
		if diff := cmp.Diff(len(want), len(got)); diff != "" || !slices.Equal(want, got) {
			t.Errorf("%s: %d lines", name, len(got))
		}
	}
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := newLineReader(iotest.OneByteReader(bytes.NewReader(text)))
		var got []byte
		for {
			part, _, err := lines.next()
			if err != nil {
				break
			}
			got = append(append(got, part...), '\n')
		}
		if want := text[:bytes.LastIndexByte(text, '\n')+1]; len(text) < replyLimit && !bytes.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// The command string holds nothing of the requests but base64, and no byte that a login shell reads in its own way.
func TestBootstrapIsPlain(t *testing.T) {
	first := Request{"a", "plain", awkward}.line(1, "id.1")
	_, rides := bootstrap("run() { say \"$1\"; } # it's `x` \\ !", newNonce(), first)
	if rides {
		t.Error("100 KB of requests ride")
	}
	command, rides := bootstrap("run() { say \"$1\"; } # it's `x` \\ !", newNonce(), first[:1000])
	if !rides || len(command) > commandLimit {
		t.Error("they do not ride")
	}
	if strings.Count(command, "'") != 2 || strings.ContainsAny(command, "\\\n\x60!*?[]{}<>&#~") {
		t.Errorf("%q", command)
	}
}
