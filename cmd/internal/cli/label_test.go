package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The label of a release is git's name of it, and says when files are not committed.
func TestLabelFromGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed: nothing can be described")
	}
	t.Setenv("GIT_DIR", filepath.Join(t.TempDir(), "of-a-hook"))
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"--git-dir", filepath.Join(dir, ".git"), "--work-tree", dir}, args...)
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
	want := func(pattern string) {
		t.Helper()
		if got := described(context.Background(), dir); !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("described as %q, want %s", got, pattern)
		}
	}
	want("")
	git("init", "-q")
	want("")
	file := filepath.Join(dir, "file")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	want("[0-9a-f]{7,}")
	git("tag", "-a", "-m", "t", "release/1.0")
	want("release/1.0")
	write("2")
	want("release/1.0-dirty")
	git("commit", "-q", "-a", "-m", "two")
	git("tag", "-f", "-a", "-m", "t", "ünïcode"+strings.Repeat("x", 100))
	if got := described(context.Background(), dir); !label.MatchString(got) {
		t.Errorf("%q is no label", got)
	}
}
