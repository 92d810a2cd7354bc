//go:build unix

package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/seatrial/seatrial/remote/sshtest"
)

// TestInterrupt: Ctrl-C in the middle of verify brings the touched host back to the old unit; exit code 130.
func TestInterrupt(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	host, err := sshtest.New("web-1", sshtest.Options{HTTP: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(asked) })
		<-release // verify waits here until the run has been called off
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { close(release); _ = host.Close() }()
	old := "[Service]\nExecStart=/srv/app --listen=127.0.0.1:8080\n"
	install(t, host, old)
	file := inventoryFor(t, host)

	var out, errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- Main([]string{"seatrial", "deploy", "staging", "--json", "--inventory", file}, strings.NewReader(""), &out, &errs)
	}()
	<-asked
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != 130 {
		t.Errorf("exit code %d\n%s%s", got, &out, &errs)
	}
	if fault := contractFault(out.String(), 130, false); fault != "" || !strings.Contains(out.String(), `"text":"interrupted"`) {
		t.Errorf("--json: %s\n%s", fault, &out)
	}
	if !strings.Contains(errs.String(), "interrupted: touched hosts are being rolled back") {
		t.Errorf("nothing was said of the interrupt:\n%s", &errs)
	}
	if u := host.Unit("app.service"); u.Active != "active" || u.Running != old {
		t.Errorf("app.service is %s and runs %q", u.Active, u.Running)
	}
	if left := append(host.List("/run/systemd/system.control/"), host.List("/etc/systemd/system/.")...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if got, err := host.ReadFile("/etc/systemd/system/app.service"); err != nil || string(got) != old {
		t.Errorf("app.service: %q, %v", got, err)
	}
}

func install(t *testing.T, host *sshtest.Host, unit string) {
	t.Helper()
	if err := host.WriteFile("/etc/systemd/system/app.service", []byte(unit), 0o644, "root", "root"); err != nil {
		t.Fatal(err)
	}
	host.DaemonReload()
	if err := host.StartUnit("app.service"); err != nil {
		t.Fatal(err)
	}
}

// inventoryFor writes an inventory of one host and the files that it names.
func inventoryFor(t *testing.T, host *sshtest.Host) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"key": string(host.ClientKeyPEM()), "known_hosts": host.KnownHostsLine() + "\n",
		"app.service": "[Service]\nExecStart=/srv/app --listen=127.0.0.1:8080 --new\n",
		"inventory.toml": fmt.Sprintf(`ssh = { user = "deploy", identity_files = ["key"], known_hosts = ["known_hosts"], use_ssh_config = false }
[services.app]
unit = "app.service"
[services.app.settle]
window = "2s"
allow_short = true
[services.app.verify]
timeout = "60s"
[[services.app.verify.http]]
url = "http://127.0.0.1:8080/"
[[environments.staging.hosts]]
name = "web-1"
address = %q
`, host.Addr()),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "inventory.toml")
}
