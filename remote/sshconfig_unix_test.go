//go:build unix

package remote

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Match exec that hangs is not waited for, and does not outlive the run.
func TestConfigThatHangs(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("NOT TESTED: there is no ssh program: apt-get install openssh-client")
	}
	began := filepath.Join(t.TempDir(), "pid")
	d := withConfig(t, fmt.Sprintf("Match exec \"echo $$ >%[1]s.new && mv %[1]s.new %[1]s && exec sleep 1000\"\n User x\n", began))
	ctx, cancel := context.WithCancel(t.Context())
	var pid int
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if text, err := os.ReadFile(began); err == nil {
				_, _ = fmt.Sscan(string(text), &pid)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	host := plainHost(t, "web")
	host.UseSSHConfig = true
	if _, err := d.Dial(ctx, host); err == nil || ctx.Err() == nil {
		t.Error(err)
	}
	for range 1000 { // whoever adopts it may take a moment to bury it
		if pid != 0 && (syscall.Kill(pid, 0) != nil || zombie(pid)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d of the Match exec is still there", pid)
}

func zombie(pid int) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(state, "Z")
}
