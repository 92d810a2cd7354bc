package sshtest

import (
	"strings"
	"testing"
	"time"
)

const unitPath = "/etc/systemd/system/web.service"

func service(words ...string) string {
	return "[Unit]\nDescription=Web\n[Service]\nExecStart=/usr/bin/web " + strings.Join(words, " ") + "\n"
}

func put(t *testing.T, h *Host, path, text string) {
	t.Helper()
	if err := h.WriteFile(path, []byte(text), 0o644, "root", "root"); err != nil {
		t.Fatal(err)
	}
}

// expect runs a script and wants exactly this output.
func expect(t *testing.T, h *Host, script, out string) {
	t.Helper()
	if got := run(t, h, script); got.out != out {
		t.Errorf("%s\n got %q (status %d, stderr %q)\nwant %q", script, got.out, got.status, got.err, out)
	}
}

const state = `s() { systemctl show -p ActiveState,SubState,Result,NRestarts,ExecMainStatus --value -- web.service | tr '\n' ' '; echo; }
`

func TestServices(t *testing.T) {
	tests := []struct {
		name, unit, script, out string
	}{
		{"runs", service(), `systemctl start web; s`, "0 success 0 active running \n"},
		{"crashes after 8 s, Restart=always", service("--crash-after=8s") + "Restart=always\nRestartSec=3\n",
			`systemctl --no-block restart web; sleep 7; s; sleep 2; s; sleep 3; s`,
			"0 success 0 active running \n0 exit-code 1 activating auto-restart \n1 success 0 active running \n"},
		{"missing binary", service("--missing") + "Restart=always\n", `systemctl start web; echo $?; sleep 5; s`,
			"0\n5 exit-code 203 failed failed \n"},
		{"Type=exec, missing binary", service("--missing") + "Type=exec\n", `systemctl start web; echo $?; s`,
			"1\n0 exit-code 203 failed failed \n"},
		{"notify, slow", service("--slow-start=5s") + "Type=notify\n", `systemctl --no-block start web; sleep 2; s; sleep 4; s`,
			"0 success 0 activating start \n0 success 0 active running \n"},
		{"notify, never ready", service("--never-ready") + "Type=notify\nTimeoutStartSec=20\n", `systemctl start web; echo $?; s`,
			"1\n0 timeout 15 failed failed \n"},
		{"clean exit", service("--exit=0"), `systemctl start web; sleep 1; s`, "0 success 0 inactive dead \n"},
		{"oneshot", service() + "Type=oneshot\nRemainAfterExit=yes\n", `systemctl start web; s`, "0 success 0 active exited \n"},
		{"on-failure after a clean exit", service("--exit=0") + "Restart=on-failure\n", `systemctl start web; sleep 1; s`,
			"0 success 0 inactive dead \n"},
		{"reset-failed", service("--exit=3"), `systemctl start web; sleep 1; s; systemctl reset-failed web; s`,
			"0 exit-code 3 failed failed \n0 success 0 inactive dead \n"},
		{"start limit, then reset-failed", service("--exit=3"),
			`for i in 1 2 3 4 5 6; do systemctl start web; sleep 1; done; systemctl show -p Result --value web; systemctl reset-failed web; systemctl start web; echo $?`,
			"exit-code\n0\n"},
		{"stop", service(), `systemctl start web; systemctl stop web; s; systemctl is-active web; echo $?`,
			"0 success 0 inactive dead \ninactive\n3\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t, Options{})
			put(t, h, unitPath, tt.unit)
			expect(t, h, state+tt.script, tt.out)
		})
	}
}

func TestShowOfSeveralUnits(t *testing.T) {
	h := start(t, Options{})
	put(t, h, unitPath, service())
	expect(t, h, `systemctl show -p Id,LoadState,Nonsense -- web.service none.service`,
		"Id=web.service\nLoadState=loaded\n\nId=none.service\nLoadState=not-found\n")
}

func TestRestartIsAJobFirst(t *testing.T) {
	h := start(t, Options{})
	put(t, h, unitPath, service())
	if err := h.StartUnit("web"); err != nil {
		t.Fatal(err)
	}
	expect(t, h, `i() { systemctl show -p InvocationID --value web; }; j() { systemctl show -p Job --value web; }
a=$(i); systemctl --no-block restart web; [ "$a" = "$(i)" ] && [ -n "$(j)" ] && echo queued; sleep 1
[ "$a" != "$(i)" ] && [ -z "$(j)" ] && echo ran`, "queued\nran\n")
}

func TestRestartCounter(t *testing.T) {
	tests := []struct {
		version int
		out     string
	}{{252, "1\n2\n"}, {257, "1\n0\n"}}
	for _, tt := range tests {
		h := start(t, Options{Systemd: tt.version})
		put(t, h, unitPath, service("--exit=1")+"Restart=always\nRestartSec=2\n[Unit]\nStartLimitIntervalSec=0\n")
		n := `systemctl show -p NRestarts --value web`
		got := run(t, h, `systemctl start web; sleep 3; `+n+`; systemctl restart web; `+n).out
		want := map[int]string{252: "1\n1\n", 257: "1\n0\n"}[tt.version]
		if got != want {
			t.Errorf("systemd %d: got %q, want %q", tt.version, got, want)
		}
	}
}

func TestUnitFiles(t *testing.T) {
	h := start(t, Options{})
	put(t, h, unitPath, service("old"))
	fragment := `systemctl show -p FragmentPath,NeedDaemonReload --value web`
	expect(t, h, fragment, "/etc/systemd/system/web.service\nno\n")
	if err := h.EnableUnit("web"); err == nil {
		expect(t, h, `systemctl is-enabled web`, "static\n")
	}
	if err := h.StartUnit("web"); err != nil {
		t.Fatal(err)
	}
	put(t, h, "/run/systemd/system.control/web.service", service("trial"))
	expect(t, h, fragment, "/etc/systemd/system/web.service\nno\n")
	expect(t, h, `systemctl daemon-reload; `+fragment, "/run/systemd/system.control/web.service\nno\n")
	put(t, h, "/etc/systemd/system/web.service.d/10-x.conf", "[Service]\nRestart=always\n")
	expect(t, h, fragment, "/run/systemd/system.control/web.service\nno\n") // its directory is new
	put(t, h, "/run/systemd/system.control/web.service", service("trial", "2"))
	expect(t, h, fragment, "/run/systemd/system.control/web.service\nyes\n")
	expect(t, h, `systemctl daemon-reload; systemctl show -p DropInPaths,Restart --value web`,
		"always\n/etc/systemd/system/web.service.d/10-x.conf\n")
	if got := h.Unit("web"); got.Running != service("old") {
		t.Errorf("a reload must not touch what runs: %q", got.Running)
	}
}

func TestEnableMaskTemplate(t *testing.T) {
	h := start(t, Options{})
	put(t, h, unitPath, service()+"[Install]\nWantedBy=multi-user.target\n")
	put(t, h, "/etc/systemd/system/work@.service", service("%i"))
	expect(t, h, `systemctl is-enabled web; systemctl --no-reload enable web; systemctl is-enabled web`, "disabled\nenabled\n")
	expect(t, h, `systemctl start work@a; systemctl show -p FragmentPath,ActiveState --value work@a.service`,
		"active\n/etc/systemd/system/work@.service\n")
	if err := h.MaskUnit("db.service"); err != nil {
		t.Fatal(err)
	}
	expect(t, h, `systemctl show -p LoadState,UnitFileState db.service; systemctl start db; echo $?`,
		"LoadState=masked\nUnitFileState=masked\n1\n")
}

func TestBadSetting(t *testing.T) {
	h := start(t, Options{})
	put(t, h, unitPath, "[Service]\nType=simple\n")
	expect(t, h, `systemctl show -p LoadState --value web; systemctl start web; echo $?; systemctl start none; echo $?`,
		"bad-setting\n1\n5\n")
}

func TestVerify(t *testing.T) {
	tests := []struct {
		name, text string
		status     int
		words      string
	}{
		{"good", service(), 0, ""},
		{"no ExecStart", "[Service]\n", 1, "has no ExecStart="},
		{"not a unit", "hello\n", 1, ""},
		{"missing binary", service("--missing"), 1, "not executable"},
		{"missing path", "[Service]\nExecStart=/nonexistent/x\n", 1, "not executable"},
		{"bad type", service() + "Type=bogus\n", 0, "ignoring: bogus"},
		{"unknown section", service() + "[Wat]\n", 0, "Unknown section"},
		{"empty", "", 1, "masked"},
		{"two ExecStart", service() + "ExecStart=/bin/b\n", 1, "more than one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := start(t, Options{})
			put(t, h, "/run/v/web.service", tt.text)
			got := run(t, h, `systemd-analyze --man=no verify /run/v/web.service`)
			if got.status != tt.status || !strings.Contains(got.err, tt.words) {
				t.Errorf("got status %d, %q; want %d, %q", got.status, got.err, tt.status, tt.words)
			}
		})
	}
}

func TestJournal(t *testing.T) {
	h := start(t, Options{Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	put(t, h, unitPath, service("--crash-after=8s"))
	got := run(t, h, `c=$(journalctl -n0 --show-cursor); systemctl start web; sleep 9
i=$(systemctl show -p InvocationID --value web)
journalctl -q --no-pager -o short-iso -n 4 _SYSTEMD_INVOCATION_ID=$i + INVOCATION_ID=$i
journalctl -q -u web --after-cursor="${c#-- cursor: }" -o cat | wc -l; journalctl -q -o cat _SYSTEMD_INVOCATION_ID=$i`)
	want := "2026-01-02T03:04:05+0000 web-1 web[403]: ready\n" +
		"2026-01-02T03:04:13+0000 web-1 web[403]: fatal: giving up\n" +
		"2026-01-02T03:04:13+0000 web-1 systemd[1]: web.service: Main process exited, code=exited, status=1/FAILURE\n" +
		"2026-01-02T03:04:13+0000 web-1 systemd[1]: web.service: Failed with result 'exit-code'.\n" +
		"5\nready\nfatal: giving up\n"
	if mask(got.out) != mask(want) {
		t.Errorf("got\n%s\nwant\n%s", got.out, want)
	}
}

// mask takes the pids out of journal lines.
func mask(text string) string {
	var b strings.Builder
	depth := false
	for _, r := range text {
		depth = depth && r != ']' || r == '['
		if !depth {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func TestReboot(t *testing.T) {
	h := start(t, Options{})
	put(t, h, unitPath, service("old")+"[Install]\nWantedBy=multi-user.target\n")
	if err := h.EnableUnit("web"); err != nil {
		t.Fatal(err)
	}
	put(t, h, "/run/systemd/system.control/web.service", service("trial"))
	before := run(t, h, `systemctl daemon-reload; systemctl start web; cat /proc/sys/kernel/random/boot_id`).out
	if got := h.Unit("web").Running; got != service("trial") {
		t.Errorf("running %q", got)
	}
	h.Reboot()
	if got := h.Unit("web"); got.Active != "active" || !strings.Contains(got.Running, "old") {
		t.Errorf("after the boot %+v", got)
	}
	if after := run(t, h, `cat /proc/sys/kernel/random/boot_id`).out; after == before {
		t.Error("the boot id is still the same")
	}
	if files := h.List("/run/"); len(files) > 0 {
		t.Errorf("still in /run: %q", files)
	}
}

func TestSoftReboot(t *testing.T) {
	h := start(t, Options{Systemd: 257})
	put(t, h, "/run/x", "")
	h.SoftReboot()
	expect(t, h, `[ -e /run/x ] && systemctl show -p SoftRebootsCount --value`, "1\n")
	old := start(t, Options{Systemd: 252})
	expect(t, old, `systemctl show -p SoftRebootsCount --value`, "")
}

func TestVersion(t *testing.T) {
	h := start(t, Options{Systemd: 247})
	expect(t, h, `systemctl --version | { read -r _ v _; echo $v; }; systemctl is-system-running`, "247\nrunning\n")
}
