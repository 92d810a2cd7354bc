package steps

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/seatrial/seatrial/remote"
)

const webPath = UnitDirectory + "/web.service"

// example is a transaction with something in every field.
func example() Transaction {
	return Transaction{
		Service: Service{
			Name: "web",
			Files: []File{{Path: webPath, Content: []byte("[Service]\nExecStart=/bin/new\n[Install]\nWantedBy=multi-user.target\n"), Digest: "bbbbbbbbbbbb"},
				{Path: "/etc/logrotate.d/web", Content: []byte("r"), Digest: "cccccccccccc", Attributes: Attributes{"640", "bob", "adm"}}},
			Runs:         []Run{{"web.service", webPath}},
			Log:          &Directory{"/var/log/web", "www", "adm", "0750"},
			StartTimeout: 30 * time.Second, Window: 15 * time.Second,
			Checks: []Check{{Name: "dir", Kind: "directory", Words: []string{"/srv"}, Timeout: time.Second},
				{Name: "it's", Warning: true, Kind: "command", Words: []string{"a", "$(b)\n"}, User: "www", WorkingDirectory: "/w x",
					Environment: []string{"A=b c"}, Timeout: 1500 * time.Millisecond}},
			Verify: Verification{Listen: []string{":80"}, HTTP: []HTTP{{"http://127.0.0.1/", 200, ""}}, Timeout: 30 * time.Second},
		},
		Facts: quiet(),
		Token: "tok", Owner: "me@here pid 1", Since: "now", Release: "r2", Label: "v1.0", Plan: "abc", Previous: "r1", Lease: time.Minute,
	}
}

// quiet are the facts of a host on which everything is in order, with the old unit.
func quiet() Facts {
	return Facts{BootID: "b/", Systemd: 252, Analyze: true, Uptime: 100,
		Files: map[string]FileFacts{webPath: {Path: webPath, Digest: "aaaaaaaaaaaa", Attributes: Attributes{"644", "root", "root"}}},
		Units: map[string]map[string]string{"web.service": {"LoadState": "loaded", "ActiveState": "active", "SubState": "running",
			"ActiveEnterTimestamp": "Mon", "UnitFileState": "enabled", "FragmentPath": webPath}},
		Dir:  map[string]FileFacts{"/var/log/web": {Path: "/var/log/web", Kind: "directory", Attributes: Attributes{"750", "www", "adm"}}},
		Disk: []Space{{"/", 1 << 20, 1000}, {"/run", 1 << 20, 1000}}}
}

// left is the release that was committed last, with this digest of the unit.
func left(digest string) Past {
	return Past{ID: "r0", Outcome: Committed, Files: map[string]string{webPath: digest}}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	file := func(change func(*FileFacts)) func(*Transaction) {
		return func(x *Transaction) {
			f := x.Facts.Files[webPath]
			change(&f)
			x.Facts.Files[webPath] = f
		}
	}
	tests := []struct {
		name   string
		change func(*Transaction)
		want   string
	}{
		{"as it was left", func(*Transaction) {}, ""},
		{"never committed", func(x *Transaction) { x.Last = Past{} }, ""},
		{"edited", file(func(f *FileFacts) { f.Digest = "dddddddddddddddd" }), webPath + " is not as release r0 left it (content)"},
		{"gone", func(x *Transaction) { x.Facts.Files = nil }, webPath + " is gone; release r0 has it (content)"},
		{"mode", file(func(f *FileFacts) { f.Mode = "600" }), webPath + " is root:root mode 600; release r0 left it root:root mode 644"},
		{"owner of what was found", func(x *Transaction) {
			file(func(f *FileFacts) { f.Owner = "bob" })(x)
			x.Facts.Releases = []Past{{ID: "r0", Outcome: Found}, {ID: "r0", Outcome: Committed}}
		}, ""},
		{"a file that the inventory has no more", func(x *Transaction) { x.Last.Files["/etc/logrotate.d/gone"] = "1" }, ""},
		{"a file that the release had not", func(x *Transaction) {
			x.Facts.Files["/etc/logrotate.d/web"] = FileFacts{Digest: "eeeeeeeeeeee"}
		}, ""},
		{"a run that died may be at it", func(x *Transaction) { x.Facts.Files, x.Facts.Record.State = nil, "COMMITTING" }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := example()
			x.Last = left("aaaaaaaaaaaa")
			tt.change(&x)
			got := ""
			for _, d := range x.Drift() {
				got += d.Text
				if d.Content {
					got += " (content)"
				}
			}
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestPreviews(t *testing.T) {
	t.Parallel()
	lease := "*take the lease for 1m0s, renewed while this run lives"
	tests := []struct {
		name   string
		step   Step
		change func(*Transaction)
		want   []string // with * in front of lines that change something
	}{
		{"lock", Lock{}, nil, []string{lease}},
		{"lock, something unfinished", Lock{}, func(x *Transaction) { x.Facts.Record = Record{State: "TRIAL", Owner: "you", Release: "r0"} },
			[]string{"*undo what run of you left unfinished (release r0, TRIAL)", lease}},
		{"lock, something finished", Lock{}, func(x *Transaction) { x.Facts.Record = Record{State: "COMMITTED", Owner: "you"} }, []string{lease}},
		{"release", Release{}, nil, []string{"*give the lease back"}},

		{"no log directory wanted", LogSetup{}, func(x *Transaction) { x.Service.Log = nil }, nil},
		{"log directory in order", LogSetup{}, nil, []string{"/var/log/web is as it should be"}},
		{"log directory missing", LogSetup{}, func(x *Transaction) { x.Facts.Dir = nil }, []string{"*create /var/log/web (www:adm, mode 0750)"}},
		{"log directory of another, and its mode", LogSetup{}, func(x *Transaction) {
			x.Facts.Dir["/var/log/web"] = FileFacts{Kind: "directory", Attributes: Attributes{"2755", "root", "adm"}}
		}, []string{"*/var/log/web: owner root:adm -> www:adm", "*/var/log/web: mode 2755 -> 750"}},

		{"checks", HealthCheck{}, nil, []string{"run 2 checks: dir, it's (warning)"}},
		{"no checks", HealthCheck{}, func(x *Transaction) { x.Service.Checks = nil }, nil},

		{"copy", UnitCopy{}, nil, []string{"*update " + webPath + " (aaaaaaaa -> bbbbbbbb)", "*new /etc/logrotate.d/web"}},
		{"copy what is there", UnitCopy{}, func(x *Transaction) {
			x.Service.Files = x.Service.Files[:1]
			x.Facts.Files[webPath] = FileFacts{Digest: "bbbbbbbbbbbb", Attributes: Attributes{"644", "root", "root"}}
		}, []string{webPath + " is unchanged"}},
		{"copy over another mode, without a lint", UnitCopy{}, func(x *Transaction) {
			x.Service.Files = x.Service.Files[:1]
			x.Facts.Analyze = false
			x.Facts.Files[webPath] = FileFacts{Digest: "bbbbbbbbbbbb", Attributes: Attributes{"600", "bob", "root"}}
		}, []string{webPath + " is unchanged", "*" + webPath + ": bob:root mode 600 -> root:root mode 644", "no systemd-analyze on this host: the unit is not linted"}},

		{"guard", Guard{}, nil, []string{"*arm the guard: without news from here for 1m0s the host goes back by itself"}},
		{"trial", Trial{}, nil, []string{"*load the new unit from /run: a reboot boots the old one"}},
		{"trial with drop-ins", Trial{}, func(x *Transaction) { x.Facts.Units["web.service"]["DropInPaths"] = "/a.conf /b.conf" },
			[]string{"*load the new unit from /run: a reboot boots the old one", "drop-in /a.conf applies to web.service", "drop-in /b.conf applies to web.service"}},
		{"reload", Reload{}, nil, []string{"*daemon-reload"}},
		{"restart", Start{}, nil, []string{"*restart web.service (active/running)"}},
		{"start", Start{}, func(x *Transaction) { x.Facts.Units = nil }, []string{"*start web.service (it does not run now)"}},
		{"start what failed", Start{}, func(x *Transaction) { x.Facts.Units["web.service"]["ActiveState"] = "failed" },
			[]string{"*start web.service (it does not run now)"}},
		{"settle", Settle{}, nil, []string{"active within 30s, then stable for 15s"}},
		{"verify", Verify{}, nil, []string{"web.service active; listening on :80; http://127.0.0.1/ answers 200"}},

		{"commit", Commit{}, nil, []string{"*install " + webPath + ", /etc/logrotate.d/web by rename"}},
		{"commit of a first install", Commit{}, func(x *Transaction) { x.Facts.Units, x.Facts.Files = nil, nil },
			[]string{"*install " + webPath + ", /etc/logrotate.d/web by rename", "*enable web.service: it starts at boot"}},
		{"commit of a first install without [Install]", Commit{}, func(x *Transaction) {
			x.Facts.Units, x.Facts.Files, x.Service.Files[0].Content = nil, nil, []byte("[Service]\n#[Install]")
		}, []string{"*install " + webPath + ", /etc/logrotate.d/web by rename"}},
		{"commit of what is there", Commit{}, func(x *Transaction) {
			x.Service.Files = x.Service.Files[:1]
			x.Facts.Files[webPath] = FileFacts{Digest: "bbbbbbbbbbbb", Attributes: Attributes{"644", "root", "root"}}
		}, []string{"nothing to install: the files are there"}},
		{"commit of another mode", Commit{}, func(x *Transaction) {
			x.Service.Files = x.Service.Files[:1]
			x.Facts.Files[webPath] = FileFacts{Digest: "bbbbbbbbbbbb", Attributes: Attributes{"600", "root", "root"}}
		}, []string{"*install " + webPath + " by rename"}},
		{"commit of a release without a companion", Commit{}, func(x *Transaction) {
			x.Service.Files[1].Digest = none
			x.Facts.Files[webPath] = FileFacts{Digest: "bbbbbbbbbbbb", Attributes: Attributes{"644", "root", "root"}}
			x.Facts.Files["/etc/logrotate.d/web"] = FileFacts{Digest: "dd", Attributes: Attributes{"644", "root", "root"}}
		}, []string{"*remove /etc/logrotate.d/web"}},

		{"way back", Rollback{}, nil, []string{"on failure: back to " + webPath + " aaaaaaaa (active now), release r1"}},
		{"way back to nothing", Rollback{}, func(x *Transaction) { x.Facts.Units, x.Facts.Files = nil, nil },
			[]string{"on failure: stop web.service and remove it (there is none now)"}},
		{"way back to the distribution's unit", Rollback{}, func(x *Transaction) {
			x.Facts.Files = nil
			x.Facts.Units["web.service"]["FragmentPath"] = "/lib/systemd/system/web.service"
		}, []string{"on failure: web.service from /lib/systemd/system/web.service again"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := example()
			if tt.change != nil {
				tt.change(&x)
			}
			var got []string
			for _, l := range tt.step.Preview(x) {
				if l.Step != tt.step.Name() {
					t.Errorf("a line of step %q", l.Step)
				}
				if l.Changes && tt.step.Effect() == Reads {
					t.Errorf("a step that reads announces a change: %s", l.Text)
				}
				got = append(got, map[bool]string{true: "*"}[l.Changes]+l.Text)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	x := example()
	tests := []struct {
		got  []remote.Request
		want string
	}{
		{Lock{}.Requests(x), `lock lock ["web" "tok" "60" "15" "100" "r2" "r1" "me@here pid 1" "now" "v1.0" "abc" "file=/etc/systemd/system/web.service aaaaaaaaaaaa bbbbbbbbbbbb" ` +
			`"file=/etc/logrotate.d/web none cccccccccccc" "run=web.service /etc/systemd/system/web.service"]`},
		{Release{}.Requests(x), `release release ["web" "tok"]`},
		{LogSetup{}.Requests(x), `log-setup log_setup ["web" "/var/log/web" "www" "adm" "0750"]`},
		{HealthCheck{}.Requests(x), `health-check check ["web" "error" "directory" "1" "" "" "/srv"]; ` +
			`health-check check ["web" "warning" "command" "2" "www" "/w x" "A=b c" "a" "$(b)\n"]`},
		{UnitCopy{}.Requests(x), `unit-copy unit_copy ["web" "tok" "/etc/systemd/system/web.service" "644" "root:root" ` +
			`"[Service]\nExecStart=/bin/new\n[Install]\nWantedBy=multi-user.target\n" "/etc/logrotate.d/web" "640" "bob:adm" "r"]`},
		{Guard{}.Requests(x), `guard guard ["web" "tok" "60"]`},
		{Trial{}.Requests(x), `trial trial ["web" "tok"]`},
		{Reload{}.Requests(x), `reload reload ["web" "tok"]`},
		{Start{}.Requests(x), `start start ["web" "tok"]`},
		{Settle{}.Requests(x), `settle settle ["web" "tok" "15" "30"]`},
		{Verify{}.Requests(x), `verify verify ["web" "tok" "30" "web.service" ":80"]`},
		{Verify{Anytime: true}.Requests(x), `verify verify ["web" "-" "30" "web.service" ":80"]`},
		{Commit{}.Requests(x), `commit commit ["web" "tok"]`},
		{Rollback{"it's"}.Requests(x), `rollback rollback ["web" "tok" "it's"]`},
		{LogSetup{}.Requests(Transaction{}), ""},
		{HealthCheck{}.Requests(Transaction{}), ""},
		{[]remote.Request{Renew(x)}, `lock renew ["web" "tok" "60"]`},
		{[]remote.Request{JournalRequest(x, 50, nil)}, `journal journal ["web" "50" "web.service" "-"]`},
		{[]remote.Request{JournalRequest(x, 50, map[string]string{"web.service": "f00", "other": "1"})}, `journal journal ["web" "50" "web.service" "f00"]`},
		{[]remote.Request{LogsRequest(x, 5, "cur", true)}, `journal logs ["web" "5" "cur" "whole" "700000" "web.service"]`},
		{[]remote.Request{ReadReleaseRequest(x, "r0")}, `facts read_release ["web" "r0"]`},
		{[]remote.Request{FactsRequest(x.Service)}, `facts facts ["web" "file=/etc/systemd/system/web.service" "file=/etc/logrotate.d/web" "run=web.service" ` +
			`"dir=/var/log/web" "user=www" "group=adm"]`},
	}
	for _, tt := range tests {
		var all []string
		for _, r := range tt.got {
			all = append(all, fmt.Sprintf("%s %s %q", r.Step, r.Verb, r.Args))
		}
		if got := strings.Join(all, "; "); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	held := func(state, token, boot string, deadline int) func(*Transaction) {
		return func(x *Transaction) {
			x.Facts.Record = Record{State: state, Token: token, Boot: boot, Deadline: deadline, Owner: "you", Since: "then", Release: "r0"}
		}
	}
	fact := func(path string) func(*Transaction) {
		return func(x *Transaction) { x.Facts.Files[path] = FileFacts{Path: path, Digest: "f"} }
	}
	property := func(key, value string) func(*Transaction) {
		return func(x *Transaction) { x.Facts.Units["web.service"][key] = value }
	}
	disk := func(all ...Space) func(*Transaction) { return func(x *Transaction) { x.Facts.Disk = all } }
	both := func(a, b func(*Transaction)) func(*Transaction) { return func(x *Transaction) { a(x); b(x) } }
	tests := []struct {
		name   string
		change func(*Transaction)
		want   []string
	}{
		{"nothing", func(*Transaction) {}, nil},
		{"first install", func(x *Transaction) { x.Facts.Files, x.Facts.Units, x.Facts.Dir = nil, nil, nil }, nil},
		{"drift", func(x *Transaction) { x.Service.RefuseDrift, x.Last = true, left("000000000000") },
			[]string{"drift, and refuse_drift is set: " + webPath + " is not as release r0 left it"}},
		{"made by hand is no drift", func(x *Transaction) { x.Service.RefuseDrift = true }, nil},
		{"no drift", func(x *Transaction) { x.Service.RefuseDrift, x.Last = true, left("aaaaaaaaaaaa") }, nil},
		{"no systemd", func(x *Transaction) { x.Facts.Systemd = 0 }, []string{"there is no systemd on this host"}},
		{"old systemd", func(x *Transaction) { x.Facts.Systemd = 237 }, []string{"systemd 237 is too old: 239 is the oldest that works"}},
		{"oldest systemd", func(x *Transaction) { x.Facts.Systemd = 239 }, nil},
		{"tools", func(x *Transaction) { x.Facts.Missing = []string{"flock", "sync"} }, []string{"the host lacks flock, sync"}},
		{"log directory is a file", func(x *Transaction) { x.Facts.Dir["/var/log/web"] = FileFacts{Kind: "regular file"} },
			[]string{"/var/log/web is a regular file, not a directory"}},
		{"several at once", func(x *Transaction) {
			x.Facts.Systemd, x.Facts.NoUser, x.Facts.NoGroup = 1, []string{"www"}, []string{"adm"}
		},
			[]string{"systemd 1 is too old: 239 is the oldest that works", "there is no user www on this host", "there is no group adm on this host"}},
		{"record of a newer seatrial", func(x *Transaction) { x.Facts.Record.State = "version 2" },
			[]string{`/var/lib/seatrial/web/record is of version "2", which this seatrial does not know`}},

		{"locked", held("TRIAL", "other", "b/", 130), []string{"LOCKED locked by you, since then, for release r0 (TRIAL)"}},
		{"our own lock", held("TRIAL", "tok", "b/", 130), nil},
		{"lease is over", held("TRIAL", "other", "b/", 100), nil},
		{"lease of another boot", held("TRIAL", "other", "a/", 130), nil},
		{"finished", held("COMMITTED", "other", "b/", 130), nil},

		{"linked unit", func(x *Transaction) {
			x.Facts.Files[webPath] = FileFacts{Path: webPath, Link: "/srv/web.service", Digest: "a"}
		}, []string{webPath + " is a symlink to /srv/web.service: seatrial would replace it"}},
		{"masked", both(property("LoadState", "masked"), func(x *Transaction) {
			x.Facts.Files[webPath] = FileFacts{Path: webPath, Link: "/dev/null", Digest: none}
		}), []string{"web.service is masked"}},
		{"runs without a file", property("LoadState", "not-found"), []string{"web.service runs, but its unit file is gone: there would be no way back"}},
		{"runs without a file, unnoticed", func(x *Transaction) { x.Facts.Files = nil },
			[]string{"web.service runs, but its unit file is gone: there would be no way back"}},
		{"runs from the distribution's file", func(x *Transaction) {
			x.Facts.Files = nil
			x.Facts.Units["web.service"]["FragmentPath"] = "/lib/systemd/system/web.service"
		}, nil},
		{"job", property("Job", "17"), []string{"web.service has a job waiting in systemd: somebody else is acting on it"}},
		{"job of a dead run", both(property("Job", "17"), held("TRIAL", "other", "b/", 0)), nil},
		{"somebody's trial", fact("/run/systemd/system.control/web.service"), []string{"/run/systemd/system.control/web.service exists and is not seatrial's"}},
		{"trial of a dead run", both(fact("/run/systemd/system.control/web.service"), held("TRIAL", "other", "b/", 0)), nil},
		{"above us", fact("/etc/systemd/system.control/web.service"), []string{"/etc/systemd/system.control/web.service precedes the unit"}},

		{"disk", disk(Space{"/", 1023, 1000}), []string{"/ has 1023 KiB left, a deploy needs 1024"}},
		{"the same disk twice", disk(Space{"/", 0, 0}, Space{"/", 0, 0}, Space{"/run", 1 << 20, -1}),
			[]string{"/ has 0 KiB left, a deploy needs 1024", "/ has 0 inodes left, a deploy needs 32"}},
		{"run", disk(Space{"/run", 16000, -1}), []string{"/run has 16000 KiB left, a deploy needs 17408"}},
		{"inodes", disk(Space{"/", 5000, 31}), []string{"/ has 31 inodes left, a deploy needs 32"}},
		{"a file system without inodes", disk(Space{"/", 5000, -1}), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := example()
			tt.change(&x)
			var got []string
			for _, r := range x.Refusals() {
				got = append(got, map[bool]string{true: "LOCKED "}[r.Locked]+r.Text)
				if r.Hint == "" {
					t.Errorf("%s: no hint", r.Text)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestInstallable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"[Service]\n[Install]\nWantedBy=multi-user.target\n":   true,
		"[Install]\n Alias = other.service\n":                  true,
		"[Install]\n":                                          false,
		"[Install]\nWantedBy=\n":                               false,
		"# [Install]\nWantedBy=multi-user.target\n":            false,
		"[Install]\n[Unit]\nWantedBy=multi-user.target\n":      false,
		"[Unit]\nDescription=WantedBy=x\n[Install]\n#Also=x\n": false,
	} {
		if got := installable(Service{Files: []File{{Path: webPath, Content: []byte(text)}}}, webPath); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestUnchanged(t *testing.T) {
	t.Parallel()
	x := example()
	if x.Unchanged() {
		t.Error("other files count as the same")
	}
	x.Service.Files[0].Attributes = usual
	for _, f := range x.Service.Files {
		x.Facts.Files[f.Path] = FileFacts{Digest: f.Digest, Attributes: f.Attributes}
	}
	if !x.Unchanged() {
		t.Error("the same files count as others")
	}
	x.Facts.Files[webPath] = FileFacts{Digest: x.Service.Files[0].Digest, Attributes: Attributes{"600", "root", "root"}}
	if x.Unchanged() {
		t.Error("another mode counts as the same")
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{0: "0", 1: "1", time.Second: "1", 1001 * time.Millisecond: "2", time.Minute: "60"} {
		if got := seconds(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// The program is read by whatever /bin/sh is on a host.
func TestProgramIsPOSIX(t *testing.T) {
	t.Parallel()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(Program()), "program")
	if err != nil {
		t.Fatal(err)
	}
	defined := map[string]int{}
	syntax.Walk(file, func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok {
			defined[f.Name.Value]++
		}
		return true
	})
	for name, n := range defined {
		if n > 1 {
			t.Errorf("%s is defined %d times", name, n)
		}
	}
	x := example()
	requests := []remote.Request{Renew(x), FactsRequest(x.Service), JournalRequest(x, 1, nil), LogsRequest(x, 1, "", false), ReadReleaseRequest(x, "r")}
	for _, s := range []Step{Lock{}, LogSetup{}, HealthCheck{}, UnitCopy{}, Guard{}, Trial{}, Reload{}, Start{}, Settle{}, Verify{}, Commit{}, Rollback{}, Release{}} {
		requests = append(requests, s.Requests(x)...)
	}
	for _, r := range requests {
		if defined["verb_"+r.Verb] != 1 {
			t.Errorf("the program has no verb %s", r.Verb)
		}
	}
	if n := len(Program()); n > 60_000 {
		t.Errorf("the program has %d bytes: with base64 it must fit into one argument of 128 KiB", n)
	}
}
