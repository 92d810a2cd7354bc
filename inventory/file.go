package inventory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"
)

// maxFile is the most a unit or a companion may hold.
const maxFile = 64 << 10

var (
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = errors.New("too large")
)

// readRegular reads a file without ever waiting on a pipe or a device.
func readRegular(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, bare(err)
	}
	if int64(len(content)) > most {
		return nil, fmt.Errorf("%w: more than %d KiB", errTooLarge, most>>10)
	}
	return content, nil
}

// bare drops the operation and the path: callers say both themselves.
func bare(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// file reads a local text file that key names. Faults of the name are reported at line,
// faults of the content in the file itself.
func (t *table) file(line int, key, name string) (string, []byte, bool) {
	path := t.local(name)
	content, err := readRegular(path, maxFile)
	if err != nil {
		t.problemAt(line, fmt.Sprintf("%s %s: %v", key, quote(name), err), "paths are relative to "+t.dir)
		return path, nil, false
	}
	if fault := textFault(content); fault != "" {
		t.add(Problem{File: path, Message: fault, Hint: "this file is pushed as it is, and must be plain UTF-8 text"})
		return path, nil, false
	}
	return path, content, true
}

func textFault(content []byte) string {
	switch {
	case len(bytes.TrimSpace(content)) == 0:
		return "the file is empty"
	case bytes.IndexByte(content, 0) >= 0:
		return "the file contains a NUL byte"
	case !utf8.Valid(content):
		return "the file is not UTF-8"
	}
	return ""
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
