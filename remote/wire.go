package remote

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Request is one thing to do on the host.
type Request struct {
	Step string   // which step it belongs to: a failed request lets the requests of later steps in its batch be skipped
	Verb string   // what the program's run function is called with; [a-z_]+
	Args []string // carried byte for byte; anything but NUL
}

// EndKey is the Key of a request's last reply; its Text is the exit status, or "skipped".
const EndKey = "end"

// Reply is one thing that a request said while it was being done.
type Reply struct {
	Request int // index in the batch
	Key     string
	Text    string
}

// Result is how a request ended.
type Result struct {
	Code    int  // exit status; Unknown when the talk broke off before it came
	Skipped bool // not begun, because a request of an earlier step had failed
}

// Unknown is the Code of a request whose end was never heard of.
const Unknown = -1

// replyLimit is the longest reply line there may be.
const replyLimit = 1 << 20

var (
	stepPattern  = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	verbPattern  = regexp.MustCompile(`^[a-z_]+$`)
	plainPattern = regexp.MustCompile(`^[A-Za-z0-9/._:@%+,-]*$`)
)

// check finds what the wire cannot carry.
func (r Request) check() error {
	switch {
	case !stepPattern.MatchString(r.Step):
		return fmt.Errorf("request: step %q is not one plain word", r.Step)
	case !verbPattern.MatchString(r.Verb):
		return fmt.Errorf("request %s: verb %q is not made of a-z and _", r.Step, r.Verb)
	}
	for i, arg := range r.Args {
		if strings.IndexByte(arg, 0) >= 0 {
			return fmt.Errorf("request %s %s: argument %d holds a NUL byte, which no command can be given", r.Step, r.Verb, i+1)
		}
	}
	return nil
}

// line is the request as the helper reads it. Its words hold no blank, no quote and no pattern, whatever the arguments are.
func (r Request) line(batch int, id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %s %s", batch, r.Step, id, r.Verb)
	for _, arg := range r.Args {
		b.WriteByte(' ')
		b.WriteString(encodeWord(arg))
	}
	b.WriteByte('\n')
	return b.String()
}

func encodeWord(text string) string {
	if plainPattern.MatchString(text) {
		return "=" + text
	}
	return "~" + base64.StdEncoding.EncodeToString([]byte(text))
}

func decodeWord(word string) (string, error) {
	switch {
	case strings.HasPrefix(word, "="):
		return word[1:], nil
	case strings.HasPrefix(word, "~"):
		text, err := base64.StdEncoding.DecodeString(word[1:])
		return string(text), err
	default:
		return "", errors.New("neither =text nor ~base64")
	}
}

// event is a line of the helper that means something.
type event struct {
	id, key, text string
	end           bool
	result        Result
	broken        bool // a reply that cannot be read: nothing after it can be trusted
}

// parseReply reads a reply line; everything that is not exactly one is noise.
func parseReply(line string) (event, bool) {
	rest, found := strings.CutPrefix(line, "@")
	id, rest, ok := strings.Cut(rest, " ")
	key, word, ok2 := strings.Cut(rest, " ")
	if !found || !ok || !ok2 || id == "" || key == "" {
		return event{}, false
	}
	if key == "end" {
		return parseEnd(id, word)
	}
	text, err := decodeWord(word)
	return event{id: id, key: key, text: text}, err == nil
}

func parseEnd(id, word string) (event, bool) {
	if word == "skipped" {
		return event{id: id, text: word, end: true, result: Result{Skipped: true}}, true
	}
	code, err := strconv.ParseUint(word, 10, 16)
	return event{id: id, text: word, end: true, result: Result{Code: int(code)}}, err == nil
}

// lineReader gives lines of at most replyLimit bytes; of longer ones it gives the beginning and says so, in flat memory.
type lineReader struct {
	in   *bufio.Reader
	line []byte
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, 64<<10)}
}

// next gives a line without its end. A last line that has no end is not given: it may be half of one.
func (l *lineReader) next() (line []byte, whole bool, err error) {
	l.line, whole = l.line[:0], true
	for {
		part, err := l.in.ReadSlice('\n')
		if room := replyLimit - len(l.line); len(part) > room {
			part, whole = part[:max(room, 0)], false
		}
		l.line = append(l.line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(l.line, []byte("\n")), whole, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, false, err
		}
	}
}
