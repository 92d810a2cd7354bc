package main

import (
	"os"
	"strings"
	"testing"

	"github.com/seatrial/seatrial/cmd/internal/lab"
)

// A unit as people write it by hand: no settings module, no logs, no restart delay. The service dies soon after each start,
// and `systemctl start` says nothing of it.
const handMade = `[Unit]
Description=WHIT by hand
[Service]
User=www-data
WorkingDirectory=/var/www/whit/backend
ExecStart=/bin/sh -c 'sleep 8; exec /var/www/whit/backend/venv/bin/gunicorn --bind 127.0.0.1:8003 wsgi:application'
Restart=always
[Install]
WantedBy=multi-user.target
`

// The repository's own inventory on three real hosts: Django under Gunicorn.
func TestWHIT(t *testing.T) {
	t.Parallel()
	l := lab.Start(t, lab.Spec{Hosts: []lab.HostSpec{{Name: "staging-1", Image: "whit"}, {Name: "staging-2", Image: "whit"}, {Name: "staging-3", Image: "whit"}}})
	s := &scenario{t: t, lab: l, name: "whit", dir: t.TempDir()}
	s.writeSample()
	for _, h := range l.Hosts {
		if err := h.Put("/etc/systemd/system/whit.service", handMade, 0o600); err != nil {
			t.Fatal(err)
		}
		sh(t, h, "rm -rf /var/log/gunicorn /etc/logrotate.d/gunicorn")
		sh(t, h, "systemctl daemon-reload && systemctl enable --now whit.service 2>/dev/null")
	}
	good, err := os.ReadFile("../../inventory/whit/whit.service")
	if err != nil {
		t.Fatal(err)
	}
	s.run("plan", "lab").exits(0).says("create /var/log/gunicorn", "-Description=WHIT by hand", "root:root mode 600 -> root:root mode 644")
	s.run("deploy", "lab", "-v").exits(0).says("passed: django system checks", "passed: migrations applied", "/healthz/ answers 200")
	s.is(string(good), true)
	for _, h := range l.Hosts {
		if got := sh(t, h, "stat -c '%U:%G %a' /var/log/gunicorn"); got != "www-data:www-data 755" {
			t.Errorf("%s: /var/log/gunicorn is %s", h.Name, got)
		}
		sh(t, h, "cmp /etc/logrotate.d/whit - <<'END'\n"+read(t, "../../inventory/whit/logrotate.conf")+"END")
		sh(t, h, "logrotate --force /etc/logrotate.d/whit && systemctl is-active whit.service")
	}
	before := s.invocations()
	for _, h := range l.Hosts {
		sh(t, h, "echo 'INSTALLED_APPS = [\"no.such.app\"]' >> /var/www/whit/backend/whit/settings.py")
	}
	s.run("deploy", "lab").exits(3).says("django system checks", "ModuleNotFoundError", "nothing was changed")
	s.is(string(good), true)
	if after := s.invocations(); after != before {
		t.Errorf("the bad release reached the service:\n%s\n%s", before, after)
	}
}

// writeSample is the repository's inventory with the lab's hosts and keys.
func (s *scenario) writeSample() {
	s.t.Helper()
	sample := read(s.t, "../../inventory.toml")
	from, to := strings.Index(sample, "[services."), strings.Index(sample, "[environments.")
	if from < 0 || to < from {
		s.t.Fatal("the sample has changed its shape")
	}
	text := s.lab.InventorySSH() + sample[from:to] + "[environments.lab]\n"
	for _, h := range s.lab.Hosts {
		text += "[[environments.lab.hosts]]\nname = \"" + h.Name + "\"\naddress = \"" + h.Addr + "\"\n"
	}
	s.file("inventory.toml", text)
	if err := os.CopyFS(s.dir+"/inventory/whit", os.DirFS("../../inventory/whit")); err != nil {
		s.t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
