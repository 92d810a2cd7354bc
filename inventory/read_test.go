package inventory

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadFillsInDefaults(t *testing.T) {
	inventory := mustRead(t, small)
	service := inventory.Services[0]
	want := &Service{
		Name:         "web",
		Units:        []Unit{{Name: "web.service", Path: filepath.Join(inventory.Dir, "web.service"), Content: []byte(smallUnit), Digest: digest([]byte(smallUnit))}},
		StartTimeout: 30 * time.Second,
		Logs:         &Logs{Directory: "/var/log/web", Owner: "root", Group: "root", Mode: "0755"},
		Checks: []Check{{
			Name: "program", Severity: SeverityError, Command: []string{"./bin/check", "--deep"}, WorkingDirectory: "/srv/web",
			User: "www-data", Environment: []Variable{{"MODE", "live"}}, Timeout: 30 * time.Second,
		}},
		Settle: Settle{Window: 15 * time.Second},
		Verify: Verify{Listen: []string{"127.0.0.1:8003"}, HTTP: []HTTP{{URL: "http://127.0.0.1:8003/healthz/", Status: 200}}, Timeout: 30 * time.Second},
	}
	if diff := cmp.Diff(want, service); diff != "" {
		t.Error(diff)
	}
	rollout := Rollout{Waves: []Share{{Percent: 100}}, MaxParallel: 50, Unreachable: UnreachableFail, OnFailure: RollbackAll}
	if diff := cmp.Diff(rollout, inventory.Environments[0].Rollout); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(SSH{User: "deploy", ConnectTimeout: 10 * time.Second, UseSSHConfig: true}, inventory.SSH); diff != "" {
		t.Error(diff)
	}
	host := &Host{Name: "a", Address: "a.example.com", Tags: []string{"canary", "eu"}, Services: []string{"web"}}
	if diff := cmp.Diff(host, inventory.Environments[0].Hosts[0]); diff != "" {
		t.Error(diff)
	}
}

func TestReadKeepsFileOrder(t *testing.T) {
	text := `environments.zebra.hosts = [{ name = "z", address = "z" }, { name = "a", address = "a" }]
[environments]
"b.c".hosts = [
  # a comment with [brackets] and "quotes
  { name = "one", address = "x" },
  { name = "two", address = "y" },
]
[services]
w.unit = "web.service"
[services.a]
unit = "other/x.service"
[[environments.apple.hosts]]
name = "only"
address = "only"
`
	inventory := mustRead(t, text)
	var names []string
	for _, environment := range inventory.Environments {
		names = append(names, environment.Name)
		for _, host := range environment.Hosts {
			names = append(names, host.Name)
		}
	}
	for _, service := range inventory.Services {
		names = append(names, service.Name)
	}
	if got, want := strings.Join(names, " "), "zebra z a b.c one two apple only w a"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := inventory.Environments[0].Hosts[0].Services; cmp.Diff([]string{"w", "a"}, got) != "" {
		t.Errorf("services in another order: %v", got)
	}
}

func TestReadCarriesValuesByteForByte(t *testing.T) {
	text := bend(t, `command = ["./bin/check", "--deep"]`,
		`command = ["/bin/sh", "-c", "echo \"$(id)\" 'x' \\\n\t`+"`date`"+`; é ☃ \u202e", "", "a=b", "-x"]`)
	text = strings.Replace(text, `name = "program"`, `name = "it's \"$(reboot)\"; ünïcode & <b>"`, 1)
	text = strings.Replace(text, `MODE = "live"`, `Z = "1", MODE = "a'b\"c $(x) é=", A_1 = ""`, 1)
	check := mustRead(t, text).Services[0].Checks[0]
	if want := []string{"/bin/sh", "-c", "echo \"$(id)\" 'x' \\\n\t`date`; é ☃ \u202e", "", "a=b", "-x"}; cmp.Diff(want, check.Command) != "" {
		t.Error(cmp.Diff(want, check.Command))
	}
	if want := `it's "$(reboot)"; ünïcode & <b>`; check.Name != want {
		t.Errorf("name %q", check.Name)
	}
	if want := []Variable{{"A_1", ""}, {"MODE", `a'b"c $(x) é=`}, {"Z", "1"}}; cmp.Diff(want, check.Environment) != "" {
		t.Error(cmp.Diff(want, check.Environment))
	}
}

func TestReadExpandsHome(t *testing.T) {
	t.Setenv("HOME", "/home/somebody")
	inventory := mustRead(t, bend(t, `user = "deploy"`, `identity_files = ["~/.ssh/id", "/abs/id", "keys/id"]`+"\n"+`known_hosts = ["~/../x"]`))
	want := []string{"/home/somebody/.ssh/id", "/abs/id", filepath.Join(inventory.Dir, "keys/id")}
	if diff := cmp.Diff(want, inventory.SSH.IdentityFiles); diff != "" {
		t.Error(diff)
	}
	if got := inventory.SSH.KnownHosts; len(got) != 1 || got[0] != "/home/x" {
		t.Errorf("known_hosts %v", got)
	}
	t.Setenv("HOME", "")
	_, err := read(t, bend(t, `user = "deploy"`, `identity_files = ["~/.ssh/id"]`))
	if got := problems(t, err); len(got) != 1 || !strings.Contains(got[0].Message, "needs a home directory") {
		t.Errorf("without a home: %v", got)
	}
}

func TestReadTemplatesAndSeveralUnits(t *testing.T) {
	text := bend(t, `unit = "web.service"`, `units = ["web.service", "worker@.service", "tick.timer"]`+"\n"+`instances = ["1", "eu:2"]`)
	var names []string
	for _, unit := range mustRead(t, text).Services[0].Units {
		names = append(names, unit.Names()...)
	}
	want := []string{"web.service", "worker@1.service", "worker@eu:2.service", "tick.timer"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestReadLogrotate(t *testing.T) {
	text := bend(t, `directory = "/var/log/web"`, "directory = \"/var/log/web\"\nmode = \"750\"\nlogrotate = \"logrotate.conf\"")
	inventory := mustRead(t, text)
	want := &Logs{
		Directory: "/var/log/web", Owner: "root", Group: "root", Mode: "0750",
		Logrotate: &File{Path: filepath.Join(inventory.Dir, "logrotate.conf"), Target: "/etc/logrotate.d/web", Content: []byte(smallLogrotate), Digest: digest([]byte(smallLogrotate))},
	}
	if diff := cmp.Diff(want, inventory.Services[0].Logs); diff != "" {
		t.Error(diff)
	}
}

func TestReadRollout(t *testing.T) {
	text := bend(t, "[environments.staging.rollout]\n", `[environments.staging.rollout]
canary = "@eu"
waves = [1, "50%", "100%"]
pause = "1m30s"
max_parallel = 3
max_failed = "10%"
unreachable = "skip"
on_failure = "halt"
`)
	want := Rollout{
		Canary: Canary{Tag: "eu"}, Waves: []Share{{Count: 1}, {Percent: 50}, {Percent: 100}}, Pause: 90 * time.Second,
		MaxParallel: 3, MaxFailed: Share{Percent: 10}, Unreachable: UnreachableSkip, OnFailure: Halt,
	}
	if diff := cmp.Diff(want, mustRead(t, text).Environments[0].Rollout); diff != "" {
		t.Error(diff)
	}
}

func TestReadAcceptsWhatPeopleWrite(t *testing.T) {
	for _, test := range []struct{ name, old, new string }{
		{"byte order mark and CRLF", "[ssh]\nuser", "\ufeff[ssh]\r\nuser"},
		{"short settle when asked for", "[services.web.verify]", "[services.web.settle]\nwindow = \"1s\"\nallow_short = true\n[services.web.verify]"},
		{"no canary", "[environments.staging.rollout]", "[environments.staging.rollout]\ncanary = 0"},
		{"share of nothing", "[environments.staging.rollout]", "[environments.staging.rollout]\nmax_failed = \"0%\""},
		{"waves beyond the hosts", "[environments.staging.rollout]", "[environments.staging.rollout]\nwaves = [1, 10]"},
		{"IPv6", `"a.example.com"`, `"2001:db8::1"`},
		{"IPv6 with zone and port", `"a.example.com"`, `"[fe80::1%eth0]:2222"`},
		{"IPv6 in brackets", `"a.example.com"`, `"[::1]"`},
		{"alias", `"a.example.com"`, `"my_alias"`},
		{"pinned key", `name = "a"`, "name = \"a\"\nhost_key = \"SHA256:" + strings.Repeat("A", 43) + `"`},
		{"any address", `"127.0.0.1:8003"]`, `":8003", "[::1]:8003", "0.0.0.0:80"]`},
		{"query and escapes", `/healthz/"`, `/h%20z/?a=b&c"`},
		{"quoted key", "[services.web.verify]", `[services."web".verify]`},
		{"sticky mode", `directory = "/var/log/web"`, "directory = \"/var/log/web\"\nmode = \"2775\""},
	} {
		t.Run(test.name, func(t *testing.T) { mustRead(t, bend(t, test.old, test.new)) })
	}
}

func TestReadSameUnitOnDifferentHosts(t *testing.T) {
	text := small + "[services.old]\nunit = \"again/web.service\"\n"
	_, err := read(t, text)
	got := problems(t, err)
	if len(got) != 1 || !strings.Contains(got[0].Message, `services web and old both push web.service to host "a"`) {
		t.Fatalf("one host, two owners: %v", err)
	}
	for _, name := range []string{"a", "b"} {
		text = strings.Replace(text, `name = "`+name+`"`, `name = "`+name+"\"\nservices = [\"web\"]", 1)
	}
	text = strings.Replace(text, `name = "c"`, "name = \"c\"\nservices = [\"old\"]", 1)
	inventory := mustRead(t, text)
	if got := inventory.Environments[0].Hosts[2].Services; cmp.Diff([]string{"old"}, got) != "" {
		t.Errorf("host c runs %v", got)
	}
}

func TestReadWithoutAFile(t *testing.T) {
	_, err := Read(filepath.Join(t.TempDir(), "inventory.toml"))
	var wrong *ProblemsError
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &wrong) || strings.Count(err.Error(), "inventory.toml") != 1 {
		t.Errorf("got %v", err)
	}
	if _, err := Read(t.TempDir()); !errors.Is(err, errNotRegular) {
		t.Errorf("a directory: %v", err)
	}
}

func TestLookups(t *testing.T) {
	inventory := mustRead(t, small+"[[environments.production.hosts]]\nname = \"p\"\naddress = \"p\"\n")
	if environment, err := inventory.Environment("production"); err != nil || environment.Name != "production" {
		t.Errorf("production: %v", err)
	}
	if service, err := inventory.Service("web"); err != nil || service.Name != "web" {
		t.Errorf("web: %v", err)
	}
	_, err := inventory.Environment("prodution")
	var unknown *UnknownError
	if !errors.As(err, &unknown) || err.Error() != `unknown environment "prodution"` ||
		unknown.Hint() != `did you mean "production"?; known: staging, production` {
		t.Errorf("got %v", err)
	}
	if _, err := inventory.Service("\x1b[31m"); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("a hostile name: %v", err)
	}
}
