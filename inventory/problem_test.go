package inventory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// many is wrong nearly everywhere: whoever fixes it should need one look, not twenty.
const many = `[shh]
user = "deploy"

[ssh]
user = "De ploy"
connect_timeout = 10
known_hosts = "~/.ssh/known_hosts"

[services.web]
unit = "missing.service"
start_timeout = "thirty"
colour = "red"
[services.web.logs]
directory = "var/log/web"
mode = 755
[[services.web.checks]]
name = "both"
file = "/a"
directory = "/b"
[[services.web.checks]]
name = "both"
command = ["A=b"]
timout = "5s"
[services.web.settle]
window = "5s"
[services.web.verify]
listen = ["127.0.0.1:8003",
          "localhost:8003"]
[[services.web.verify.http]]
url = "127.0.0.1:8003/healthz"
status = 99

[services.worker]
unit = "broken.service"

[environments.empty]

[environments.production]
confirm = "yes"
[environments.production.rollout]
canary = "@canary"
waves = ["25%", "20%"]
on_failure = "rolback-all"
[[environments.production.hosts]]
name = "web-1"
address = "-oProxyCommand=reboot"
[[environments.production.hosts]]
name = "web-1"
address = "web-1.example.com"
services = ["web", "workr"]
`

const wantMany = `inventory.toml:1: unknown key "shh"
  hint: did you mean "ssh"?
inventory.toml:5: ssh: user "De ploy" is not a user or group name
  hint: lower-case letters, digits, dash and underscore, at most 32, starting with a letter
inventory.toml:6: ssh: connect_timeout is a number, not a duration in quotes
  hint: write connect_timeout = "10s"
inventory.toml:7: ssh: known_hosts is a string, not an array
  hint: write known_hosts = ["...", "..."]
inventory.toml:10: services.web: unit "missing.service": no such file or directory
  hint: paths are relative to DIR
inventory.toml:11: services.web: start_timeout "thirty" is not a duration
  hint: write start_timeout = "30s"; units are s, m and h
inventory.toml:12: services.web: unknown key "colour"
  hint: known here: unit, units, instances, start_timeout, refuse_drift, logs, checks, settle, verify
inventory.toml:14: services.web.logs: directory "var/log/web" is not an absolute path
  hint: write the whole path, starting with /
inventory.toml:15: services.web.logs: mode is a number, not a string
  hint: write mode = "0755"
inventory.toml:18: services.web.checks: both directory and file
  hint: make them checks of their own: exactly one each
inventory.toml:21: services.web.checks: name "both" is already used on line 17
  hint: every name comes once
inventory.toml:22: services.web.checks: program "A=b" contains =
  hint: variables belong into environment = { NAME = "value" }
inventory.toml:23: services.web.checks: unknown key "timout"
  hint: did you mean "timeout"?
inventory.toml:25: services.web.settle: window 5s is too short to see a service that dies soon after its start
  hint: write window = "10s" or more, or add allow_short = true
inventory.toml:28: services.web.verify: listen "localhost:8003" is not ip:port
  hint: such as "127.0.0.1:8003", "[::1]:8003", or ":8003" for any address; names are not looked up
inventory.toml:30: services.web.verify.http: url "127.0.0.1:8003/healthz" is not a URL
  hint: such as "http://127.0.0.1:8003/healthz/"
inventory.toml:31: services.web.verify.http: status 99 is out of range
  hint: write a number from 100 to 599
inventory.toml:36: environments.empty: no hosts
  hint: add [[environments.empty.hosts]] with name = "..." and address = "..."
inventory.toml:39: environments.production: confirm is a string, not true or false
  hint: write confirm = true
inventory.toml:41: environments.production.rollout: canary "@canary": no host has this tag
  hint: write tags = ["canary"] on one host
inventory.toml:42: environments.production.rollout: wave 20% is not more than wave 25% before it
  hint: write shares that grow to all hosts: waves = ["25%", "100%"], or counts: [1, 5, "100%"]
inventory.toml:43: environments.production.rollout: on_failure "rolback-all" is not known here
  hint: did you mean "rollback-all"?
inventory.toml:46: environments.production.hosts: address "-oProxyCommand=reboot" is not host or host:port
  hint: an address does not start with a dash
inventory.toml:48: environments.production.hosts: name "web-1" is already used on line 45
  hint: every name comes once
inventory.toml:50: environments.production.hosts: services "workr" is not known here
  hint: did you mean "worker"?
broken.service: no [Service] section
  hint: add [Service], or give the file another suffix
broken.service:1: unknown section [Serivce]
  hint: did you mean [Service]?
broken.service:2: "ExecStrat /bin/web" is not an assignment
  hint: write Name=value, or start a comment with #`

func TestReadReportsEveryProblemAtOnce(t *testing.T) {
	dir := folder(t, map[string]string{"inventory.toml": many, "broken.service": "[Serivce]\nExecStrat /bin/web\n"})
	_, err := Read(filepath.Join(dir, "inventory.toml"))
	problems(t, err)
	got := strings.ReplaceAll(err.Error(), dir+"/", "")
	got = strings.ReplaceAll(got, dir, "DIR")
	if got != wantMany {
		t.Error(cmp.Diff(strings.Split(wantMany, "\n"), strings.Split(got, "\n")))
	}
}

func TestReadRefuses(t *testing.T) {
	const rollout, check, http = "[environments.staging.rollout]\n", `name = "program"`, `url = "http://127.0.0.1:8003/healthz/"`
	const command, unit, logs = `command = ["./bin/check", "--deep"]`, `unit = "web.service"`, `directory = "/var/log/web"`
	for _, test := range []struct{ name, old, new, message, hint string }{
		{"syntax", unit, `unit = web.service`, "not TOML: ", `strings stand in "quotes"`},
		{"key twice", unit, unit + "\n" + unit, "not TOML: ", "each key comes once"},
		{"NUL byte", `"deploy"`, "\"de\x00ploy\"", "not TOML: ", ""},
		{"not UTF-8", `"deploy"`, "\"\xff\"", "not TOML: ", ""},
		{"nesting", unit, "x = " + strings.Repeat("[", 200), "nested deeper than 32", "a bracket too many"},
		{"dotted nesting", unit, strings.Repeat("a.", 200) + "a = 1", "nested deeper than 32", ""},
		{"table for a string", unit, "[services.web.unit]\na = 1", "unit is a table, not a string", ""},
		{"string for a table", "[ssh]\nuser = \"deploy\"", `ssh = "deploy"`, "ssh is a string, not a table", "[ssh]"},
		{"string for tables", "[environments.staging.rollout]", "[environments.y]\nhosts = \"a\"\n[environments.staging.rollout]", "hosts is a string, not an array", "[[environments.y.hosts]]"},
		{"number for tables", "[environments.staging.rollout]", "[environments.y]\nhosts = [1]\n[environments.staging.rollout]", "hosts is a number, not a table", "[[environments.y.hosts]]"},
		{"hostile key", "[ssh]", "\"\\u001b[31m\" = 1\n[ssh]", `unknown key "\x1b[31m"`, "known here"},
		{"hostile service name", "[services.web.logs]", "[services.\"$(reboot)\"]\nunit = \"web.service\"\n[services.web.logs]", `name "$(reboot)" is not a service name`, ""},
		{"hostile environment name", "[environments.staging.rollout]", "[environments.\"-x\"]\n[environments.staging.rollout]", `name "-x" is not a name`, ""},

		{"require of nobody", "[environments.staging.rollout]", "[environments.y]\nrequire = [\"stagign\"]\n[[environments.y.hosts]]\nname = \"y-1\"\naddress = \"y-1\"\n[environments.staging.rollout]", `require "stagign" is not known here`, `did you mean "staging"`},
		{"require of itself", "[environments.staging.rollout]", "[environments.y]\nrequire = [\"y\"]\n[[environments.y.hosts]]\nname = \"y-1\"\naddress = \"y-1\"\n[environments.staging.rollout]", `require "y" is this environment itself`, ""},
		{"require twice", "[environments.staging.rollout]", "[environments.y]\nrequire = [\"staging\", \"staging\"]\n[[environments.y.hosts]]\nname = \"y-1\"\naddress = \"y-1\"\n[environments.staging.rollout]", `require names "staging" twice`, ""},
		{"require in a ring", "[environments.staging.rollout]", "[environments.y]\nrequire = [\"z\"]\n[[environments.y.hosts]]\nname = \"y-1\"\naddress = \"y-1\"\n" +
			"[environments.z]\nrequire = [\"y\"]\n[[environments.z.hosts]]\nname = \"z-1\"\naddress = \"z-1\"\n[environments.staging.rollout]",
			"require goes in a circle: y, z, y", "leave one of them out"},

		{"date", `"deploy"`, "1979-05-27", "user is a date, not a string", ""},
		{"user with dash", `"deploy"`, `"-oProxyCommand"`, "is not a user", ""},
		{"newline in a path", `"deploy"`, "\"deploy\"\nidentity_files = [\"a\\nb\"]", "contains a control character", ""},
		{"somebody's home", `"deploy"`, "\"deploy\"\nidentity_files = [\"~bob/id\"]", "somebody else's home", ""},
		{"no time at all", `"deploy"`, "\"deploy\"\nconnect_timeout = \"0s\"", "out of range", "from 100ms to 10m"},
		{"negative time", unit, unit + "\nstart_timeout = \"-5s\"", "out of range", "from 1s to 1h"},
		{"part of a second", unit, unit + "\nstart_timeout = \"1500ms\"", "not a whole number of seconds", `"2s"`},
		{"endless time", unit, unit + "\nstart_timeout = \"99999999h\"", "", ""},

		{"no unit", unit, "", "unit is missing", "NAME.service"},
		{"unit and units", unit, unit + "\nunits = [\"web.service\"]", "both unit and units", ""},
		{"no units", unit, "units = []", "units is empty", ""},
		{"same unit twice", unit, `units = ["web.service", "again/web.service"]`, `unit "web.service" comes twice`, ""},
		{"not a unit's name", unit, `unit = "notes.txt"`, "not the name of a unit", ".service"},
		{"unit name with a space", unit, `unit = "a b.service"`, "not the name of a unit", ""},
		{"not a unit", unit, `unit = "notes.service"`, "not a unit file", ""},
		{"directory", unit, `unit = "other"`, "not the name of a unit", ""},
		{"template without instances", unit, `unit = "worker@.service"`, "is a template and has no instances", `["1", "2"]`},
		{"instances without template", unit, unit + "\ninstances = [\"1\"]", "instances without a template", ""},
		{"instance that leaves the directory", unit, "unit = \"worker@.service\"\ninstances = [\"../../x\"]", "not an instance name", ""},
		{"instance twice", unit, "unit = \"worker@.service\"\ninstances = [\"1\", \"1\"]", "twice", ""},

		{"root directory", logs, `directory = "/var"`, "belongs to the whole host", ""},
		{"shared directory", logs, `directory = "/var/log"`, "belongs to the whole host", ""},
		{"dot dot", logs, `directory = "/var/log/../../etc"`, "not a plain path", `"/etc"`},
		{"trailing slash", logs, `directory = "/var/log/web/"`, "not a plain path", `"/var/log/web"`},
		{"mode", logs, logs + "\nmode = \"0955\"", "is not a mode", "0755"},
		{"mode in letters", logs, logs + "\nmode = \"rwx\"", "is not a mode", ""},
		{"owner", logs, logs + "\nowner = \"www-data:www-data\"", "is not a user or group", ""},
		{"no log directory", logs, "", "directory is missing", "/var/log/web"},
		{"no logrotate file", logs, logs + "\nlogrotate = \"x.conf\"", "no such file", "relative to"},
		{"not logrotate", logs, logs + "\nlogrotate = \"notes.txt\"", "not a logrotate file", ""},

		{"nothing to check", command, "", "nothing to check", "one of directory"},
		{"check without name", check, "", "name is missing", ""},
		{"check name of two lines", check, `name = "a\nb"`, "control character", ""},
		{"check name with escapes", check, `name = "\u001b[2J"`, "control character", ""},
		{"blank check name", check, `name = "  "`, "is empty", ""},
		{"severity", check, check + "\nseverity = \"warn\"", "is not known here", ""},
		{"empty command", command, "command = []", "command is empty", ""},
		{"command as a line", command, `command = "./bin/check --deep"`, "not an array", ""},
		{"command of numbers", command, `command = ["sleep", 5]`, "command is a number, not a string", "quotes"},
		{"NUL in an argument", command, `command = ["x", "a\u0000b"]`, "contains a NUL", ""},
		{"empty program", command, `command = [""]`, "is empty", ""},
		{"program is an option", command, `command = ["--help"]`, "starts with a dash", ""},
		{"program and arguments in one", command, `command = ["ls -l"]`, "contains a blank", ""},
		{"relative to nothing", `working_directory = "/srv/web"`, "", "is relative to nothing", "working_directory"},
		{"huge command", command, `command = ["x", "` + strings.Repeat("a", 20000) + `"]`, "is too long", "16 KiB"},
		{"user without command", command, `file = "/x"`, "working_directory has no effect on a file check", ""},
		{"variable name", `MODE = "live"`, `"MODE X" = "live"`, "is not a variable name", ""},
		{"variable of two lines", `MODE = "live"`, `MODE = "a\nb"`, "control character", ""},
		{"variable as a number", `MODE = "live"`, `MODE = 1`, "MODE is a number, not a string", `MODE = "1"`},

		{"port only", `"127.0.0.1:8003"]`, `"8003"]`, "is not ip:port", `":8003"`},
		{"port 0", `"127.0.0.1:8003"]`, `"127.0.0.1:0"]`, "is not ip:port", ""},
		{"port 70000", `"127.0.0.1:8003"]`, `":70000"]`, "is not ip:port", ""},
		{"unusual spelling", `"127.0.0.1:8003"]`, `"[0:0::1]:8003"]`, "not in its usual form", `"[::1]:8003"`},
		{"listen twice", `"127.0.0.1:8003"]`, `":80", ":80"]`, "twice", ""},
		{"ftp", http, `url = "ftp://x/"`, "is not a URL", ""},
		{"no host", http, `url = "http:///x"`, "is not a URL", ""},
		{"password", http, `url = "http://me:secret@x/"`, "carries a user", ""},
		{"fragment", http, `url = "http://x/#a"`, "is not a URL", "after #"},
		{"newline in a URL", http, `url = "http://x/\r\nHost: y"`, "control character", ""},
		{"URL port", http, `url = "http://x:0/"`, "wrong port", ""},
		{"status in quotes", http, http + "\nstatus = \"200\"", "status is a string, not a whole number", "status = 200"},

		{"user in the address", `"a.example.com"`, `"deploy@a.example.com"`, "is not host", `user = "..."`},
		{"scheme", `"a.example.com"`, `"ssh://a"`, "is not host", "scheme"},
		{"address with a blank", `"a.example.com"`, `"a b"`, "is not host", ""},
		{"address port", `"a.example.com"`, `"a:022"`, "wrong port", ""},
		{"address zone", `"a.example.com"`, `"fe80::1%;reboot"`, "is not host", ""},
		{"broken brackets", `"a.example.com"`, `"[::1"`, "is not host", ""},
		{"same address", `"a.example.com"`, `"B.example.com:2222"`, "address", "every address comes once"},
		{"same address, port said", `"a.example.com"`, `"c.example.com:22"`, "is already used", ""},
		{"no address", `address = "a.example.com"`, "", "address is missing", ""},
		{"host name", `name = "a"`, `name = "@a"`, "is not a name", ""},
		{"tag with @", `"canary", "eu"`, `"@canary"`, "has an @", `write "canary"`},
		{"tag twice", `"canary", "eu"`, `"eu", "eu"`, "twice", ""},
		{"fingerprint", `name = "a"`, "name = \"a\"\nhost_key = \"SHA256:...\"", "is not a fingerprint", "ssh-keygen"},
		{"MD5", `name = "a"`, "name = \"a\"\nhost_key = \"MD5:00:11\"", "is not a fingerprint", ""},
		{"no services", `name = "a"`, "name = \"a\"\nservices = []", "a host without services", ""},

		{"canary in quotes", rollout, rollout + "canary = \"1\"\n", "neither a number nor a tag", "canary = 1"},
		{"canary beyond the hosts", rollout, rollout + "canary = 4\n", "canary 4 of 3 hosts", ""},
		{"canary negative", rollout, rollout + "canary = -1\n", "canary -1", ""},
		{"canary true", rollout, rollout + "canary = true\n", "canary is true or false", ""},
		{"no waves", rollout, rollout + "waves = []\n", "waves is empty", ""},
		{"wave of nobody", rollout, rollout + "waves = [\"0%\", \"100%\"]\n", "is not a share", ""},
		{"wave of more than all", rollout, rollout + "waves = [\"110%\"]\n", "is not a share", ""},
		{"wave in words", rollout, rollout + "waves = [\"half\"]\n", "is not a share", ""},
		{"wave of a half percent", rollout, rollout + "waves = [0.5]\n", "is not a share", ""},
		{"waves that shrink", rollout, rollout + "waves = [2, 1]\n", "wave 1 is not more than wave 2", ""},
		{"waves that shrink, mixed", rollout, rollout + "waves = [3, \"50%\"]\n", "wave 50% is not more than wave 3", ""},
		{"waves that leave hosts out", rollout, rollout + "waves = [1, 2]\n", "some hosts would never change", ""},
		{"failures negative", rollout, rollout + "max_failed = -1\n", "not a share", ""},
		{"parallel", rollout, rollout + "max_parallel = 0\n", "out of range", "from 1 to 1000"},
		{"unreachable", rollout, rollout + "unreachable = \"skp\"\n", "not known here", `"skip"`},
		{"pause", rollout, rollout + "pause = \"48h\"\n", "out of range", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := bend(t, test.old, test.new)
			_, err := read(t, text)
			for _, problem := range problems(t, err) {
				if strings.Contains(problem.Message, test.message) && strings.Contains(problem.Hint, test.hint) {
					sound(t, problem, text)
					return
				}
			}
			t.Errorf("no problem says %q with %q:\n%v", test.message, test.hint, err)
		})
	}
}

// sound is what holds for every problem: it has a place and prints on its lines.
func sound(t testing.TB, problem Problem, text string) {
	t.Helper()
	if problem.Line < 0 || problem.File == "" || problem.Message == "" {
		t.Errorf("incomplete: %+v", problem)
	}
	if strings.HasSuffix(problem.File, ".toml") && (problem.Line < 1 || problem.Line > strings.Count(text, "\n")+1) {
		t.Errorf("line out of the file: %+v", problem)
	}
	for _, part := range []string{problem.Message, problem.Hint} {
		if message, _ := lineRule(part); message != "" || len(part) > 2000 {
			t.Errorf("not fit to print: %q", part)
		}
	}
}

func TestReadWithNothingInIt(t *testing.T) {
	for _, text := range []string{"", "\n# nothing\n", "services = {}\nenvironments = {}\n"} {
		_, err := read(t, text)
		got := problems(t, err)
		if len(got) != 2 || !strings.Contains(err.Error(), "no service") || !strings.Contains(err.Error(), "no environment") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReadBoundsFiles(t *testing.T) {
	for name, content := range map[string]string{
		"too large: more than 64 KiB": smallUnit + strings.Repeat("#\n", 33<<10),
		"the file contains a NUL":     smallUnit + "\x00",
		"the file is not UTF-8":       smallUnit + "\xff",
		"the file is empty":           " \n",
	} {
		dir := standard(t, small)
		if err := os.WriteFile(filepath.Join(dir, "web.service"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(filepath.Join(dir, "inventory.toml"))
		if got := problems(t, err); len(got) != 1 || !strings.Contains(got[0].Message, name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProblemsAreSaidOnce(t *testing.T) {
	_, err := read(t, small+"[services.two]\nunit = \"notes.service\"\n[services.three]\nunit = \"notes.service\"\n")
	if got := problems(t, err); len(got) != 2 { // the line, and that there is no section
		t.Errorf("got %d: %v", len(got), err)
	}
}
