package inventory

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// small is a valid inventory that tests bend. Its line numbers matter to no test.
const small = `[ssh]
user = "deploy"

[services.web]
unit = "web.service"
[services.web.logs]
directory = "/var/log/web"
[[services.web.checks]]
name = "program"
command = ["./bin/check", "--deep"]
working_directory = "/srv/web"
user = "www-data"
environment = { MODE = "live" }
[services.web.verify]
listen = ["127.0.0.1:8003"]
[[services.web.verify.http]]
url = "http://127.0.0.1:8003/healthz/"

[environments.staging]
[environments.staging.rollout]
[[environments.staging.hosts]]
name = "a"
address = "a.example.com"
tags = ["canary", "eu"]
[[environments.staging.hosts]]
name = "b"
address = "b.example.com:2222"
[[environments.staging.hosts]]
name = "c"
address = "c.example.com"
`

const (
	smallUnit      = "[Service]\nExecStart=/bin/web\n"
	smallLogrotate = "/var/log/web/*.log {\n  weekly\n}\n"
)

// folder writes files into a new directory and returns it.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// standard is a folder that has everything small and its variations name.
func standard(t testing.TB, text string) string {
	t.Helper()
	return folder(t, map[string]string{
		"inventory.toml":    text,
		"web.service":       smallUnit,
		"other/x.service":   smallUnit,
		"worker@.service":   smallUnit,
		"tick.timer":        "[Timer]\nOnCalendar=daily\n",
		"logrotate.conf":    smallLogrotate,
		"notes.txt":         "just text\n",
		"notes.service":     "just text\n",
		"again/web.service": smallUnit,
	})
}

func read(t testing.TB, text string) (*Inventory, error) {
	t.Helper()
	return Read(filepath.Join(standard(t, text), "inventory.toml"))
}

func mustRead(t testing.TB, text string) *Inventory {
	t.Helper()
	inventory, err := read(t, text)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return inventory
}

// bend replaces a piece of small that must be there exactly once.
func bend(t testing.TB, old, new string) string {
	t.Helper()
	if strings.Count(small, old) != 1 {
		t.Fatalf("%q stands %d times in small", old, strings.Count(small, old))
	}
	return strings.Replace(small, old, new, 1)
}

func problems(t testing.TB, err error) []Problem {
	t.Helper()
	var wrong *ProblemsError
	if !errors.As(err, &wrong) {
		t.Fatalf("not a *ProblemsError: %v", err)
	}
	return wrong.Problems
}
