//go:build unix

package inventory

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestReadNeverWaitsForAFile(t *testing.T) {
	dir := standard(t, bend(t, `"web.service"`, `"pipe.service"`))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.service"), 0o600); err != nil {
		t.Skip(err)
	}
	_, err := Read(filepath.Join(dir, "inventory.toml"))
	if got := problems(t, err); len(got) != 1 || !strings.Contains(got[0].Message, "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
}
