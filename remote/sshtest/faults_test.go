package sshtest

import (
	"testing"
	"time"
)

func TestFaults(t *testing.T) {
	const trial = `mkdir -p /run/systemd/system.control; cp /tmp/new /run/systemd/system.control/web.service; systemctl daemon-reload; systemctl restart web; `
	const back = `rm -rf /run/systemd/system.control; systemctl daemon-reload; systemctl reset-failed web; systemctl restart web; sleep 20; systemctl is-active web`
	tests := []struct {
		step, script, out string
	}{
		{"lock", `mkdir -p /var/lib/seatrial/web; flock /var/lib/seatrial/web/lock grep -c owner=somebody /var/lib/seatrial/web/record`, "1\n"},
		{"log-setup", `mkdir -p /var/lib/seatrial/web && mkdir -p /var/log/gunicorn; echo $?`, "1\n"},
		{"health-check", `env -i /opt/check; echo $?`, "simulated failure\n1\n"},
		{"unit-copy", `systemd-analyze verify /etc/systemd/system/web.service; echo $?`, "1\n"},
		{"guard", `systemd-run --unit=x /bin/sh -c true; echo $?`, "1\n"},
		{"reload", `systemctl daemon-reload; echo $?; mkdir -p /run/systemd/system.control; echo >/run/systemd/system.control/x; systemctl daemon-reload; echo $?; rm /run/systemd/system.control/x; systemctl daemon-reload; echo $?`, "0\n1\n0\n"},
		{"start", trial + `sleep 1; systemctl show -p ExecMainStatus --value web; ` + back, "203\nactive\n"},
		{"settle", trial + `sleep 7; systemctl is-active web; sleep 2; systemctl is-active web; ` + back, "active\nfailed\nactive\n"},
		{"settle", `systemctl restart web; sleep 9; systemctl is-active web`, "failed\n"},
		{"verify", trial + `sleep 3; grep -c ' 0A ' /proc/net/tcp; ` + back + `; grep -c ' 0A ' /proc/net/tcp`, "0\nactive\n1\n"},
		{"commit", `cp /tmp/new /etc/systemd/system/.stage; mv -fT /etc/systemd/system/.stage /etc/systemd/system/web.service; echo $?`, "1\n"},
		{"rollback", trial + `sleep 9; ` + back, "failed\n"},
	}
	for _, tt := range tests {
		t.Run(tt.step, func(t *testing.T) {
			h := start(t, Options{App: App{Listen: []string{"127.0.0.1:8003"}}})
			put(t, h, unitPath, service("old"))
			put(t, h, "/tmp/new", service("new"))
			if err := h.StartUnit("web"); err != nil {
				t.Fatal(err)
			}
			if err := h.Fail(tt.step); err != nil {
				t.Fatal(err)
			}
			expect(t, h, tt.script, tt.out)
		})
	}
	if err := start(t, Options{}).Fail("everything"); err == nil {
		t.Error("took a fault that does not exist")
	}
}

// What ran before a reboot runs after it, whatever is to become of a new unit.
func TestFaultsSpareTheBoot(t *testing.T) {
	for _, step := range Faults() {
		t.Run(step, func(t *testing.T) {
			h := start(t, Options{App: App{Listen: []string{"127.0.0.1:8003"}}})
			put(t, h, unitPath, service("old")+"[Install]\nWantedBy=multi-user.target\n")
			if err := h.StartUnit("web"); err != nil {
				t.Fatal(err)
			}
			expect(t, h, `systemctl --quiet enable web`, "")
			if err := h.Fail(step); err != nil {
				t.Fatal(err)
			}
			h.Reboot()
			h.Advance(20 * time.Second)
			expect(t, h, `systemctl is-active web; grep -c ' 0A ' /proc/net/tcp`, "active\n1\n")
		})
	}
}

func TestFullDisk(t *testing.T) {
	h := start(t, Options{})
	h.Fill("/run/")
	expect(t, h, `echo x >/run/x; echo $?; echo x >/tmp/x; echo $?; systemctl daemon-reload; echo $?; df -Pk /run | { read -r _; read -r _ _ _ free _; echo $free; }`,
		"1\n0\n1\n0\n")
	h.Free("/run/")
	expect(t, h, `echo x >/run/x; echo $?`, "0\n")
}
