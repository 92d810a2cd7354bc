package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A plan is saved, shown, refused when a host has moved, and applied exactly; drift and releases are named.
func TestSavedPlan(t *testing.T) {
	t.Parallel()
	s := newScenario(t, "saved", 9031)
	one, two := s.unit("", "--version=1"), s.unit("", "--version=2")
	s.write(one)
	s.run("deploy", "lab", "--release", "v1").exits(0).says("(v1)")
	s.write(two)
	before := s.invocations()
	s.run("plan", "lab", "--out", "two.plan", "--release", "v2").exits(0).says("saved as two.plan", "--version=2", "main process")
	s.run("show", "two.plan").exits(0).says("web-1, web-2, web-3", "--version=2")
	if got := s.invocations(); got != before {
		t.Errorf("a plan restarted something:\n%s\n%s", before, got)
	}
	for _, h := range s.hosts {
		if left := sh(t, h, "ls /dev/shm /run/seatrial 2>/dev/null | grep -F saved || true"); left != "" {
			t.Errorf("%s: the plan left %s", h.Name, left)
		}
	}

	moved := s.lab.Host("web-2")
	sh(t, moved, "printf '# by hand\\n' >>/etc/systemd/system/saved.service; systemctl daemon-reload")
	s.run("status", "lab").exits(0).says("drift", "web-2", "# by hand")
	s.run("plan", "lab").exits(0).says("drift", "# by hand")
	s.run("deploy", "--plan", "two.plan").exits(4).says("not as the saved plan saw it: /etc/systemd/system/saved.service was ", "seatrial plan lab --out FILE")
	s.hostIs(s.lab.Host("web-1"), one, true)
	sh(t, moved, "sed -i '$d' /etc/systemd/system/saved.service; systemctl daemon-reload; systemctl restart saved.service")

	s.write(s.unit("", "--version=3")) // the plan has its own bytes
	s.run("deploy", "--plan", "two.plan").exits(0).says("exactly as planned", "(v2)")
	s.is(two, true)
	text, err := os.ReadFile(filepath.Join(s.dir, "two.plan"))
	if err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(string(text), `"digest": "`)
	digest = digest[:64]
	for _, h := range s.hosts {
		if got := sh(t, h, "grep -c '^plan="+digest+"$' /var/lib/seatrial/saved/record"); got != "1" {
			t.Errorf("%s does not have the plan's digest on record", h.Name)
		}
	}
	s.run("history", "lab").exits(0).says("v2", "installed", digest[:12])
	s.run("deploy", "--plan", "two.plan").exits(4)
	s.run("rollback", "lab", "--to", "v1").exits(0)
	s.is(one, true)
}
