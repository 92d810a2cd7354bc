package steps

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const factsText = `@host
boot=1-2-3/
uptime=3600
time=1767323045
machine=abc
systemd=252
missing=flock
missing=sync
analyze=yes
@disk
Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/sda1          1000000  500000    500000      50% /
/dev/sda1          1000000  500000    500000      50% /
tmpfs                20000       0     20000       0% /run
@inodes
Filesystem     Inodes IUsed IFree IUse% Mounted on
/dev/sda1        1000   100   900   10% /
/dev/sda1           0     0     0     - /
tmpfs               -     -     -     - /run
@record
version=1
state=TRIAL
token=t
boot=1-2-3/
release=r2
previous=
owner=me=you
since=then
file=/a b c
run=web.service /a 1 active enabled
deadline=3630
@history
r1 found 1 - - /a=123,/b=456, by hand
r2 committed 2 v1.0 abc - me@here pid 1
broken line
@file
path=/etc/systemd/system/web.service
mode=644
owner=root
group=root
digest=aa
content=W1VuaXRdCg==
@file
path=/etc/systemd/system/linked.service
mode=777
owner=root
group=root
link=/dev/null
@unit
unit=web.service
ActiveState=active
ExecStart={ path=/bin/x ; argv[]=/bin/x @home }
@unknown
a=b
@dir
path=/var/log/web
kind=directory
mode=755
owner=www
group=adm
@missing
user=nobody2
@missing
group=nogroup2
`

func TestParseFacts(t *testing.T) {
	t.Parallel()
	got, err := ParseFacts(factsText)
	if err != nil {
		t.Fatal(err)
	}
	want := Facts{BootID: "1-2-3/", Machine: "abc", Systemd: 252, Analyze: true, Uptime: 3600, Time: 1767323045,
		Missing: []string{"flock", "sync"}, NoUser: []string{"nobody2"}, NoGroup: []string{"nogroup2"},
		Files: map[string]FileFacts{
			"/etc/systemd/system/web.service": {Path: "/etc/systemd/system/web.service", Digest: "aa", Attributes: Attributes{"644", "root", "root"}, Content: []byte("[Unit]\n")},
			"/etc/systemd/system/linked.service": {Path: "/etc/systemd/system/linked.service", Digest: none, Attributes: Attributes{"777", "root", "root"},
				Link: "/dev/null", Content: []byte{}},
		},
		Units:  map[string]map[string]string{"web.service": {"unit": "web.service", "ActiveState": "active", "ExecStart": "{ path=/bin/x ; argv[]=/bin/x @home }"}},
		Dir:    map[string]FileFacts{"/var/log/web": {Path: "/var/log/web", Digest: none, Kind: "directory", Attributes: Attributes{"755", "www", "adm"}, Content: []byte{}}},
		Disk:   []Space{{"/", 500000, 900}, {"/", 500000, -1}, {"/run", 20000, -1}},
		Record: Record{State: "TRIAL", Token: "t", Boot: "1-2-3/", Release: "r2", Owner: "me=you", Since: "then", Deadline: 3630},
		Releases: []Past{{"r1", "found", 1, "", "", map[string]string{"/a": "123", "/b": "456"}, "by hand"},
			{"r2", "committed", 2, "v1.0", "abc", map[string]string{}, "me@here pid 1"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if left := got.LeaseLeft(); left != 30*time.Second {
		t.Errorf("%s of the lease are left", left)
	}
	if f := got.File("/none"); f.Digest != none || f.Path != "/none" {
		t.Errorf("a file that is not there: %+v", f)
	}
}

func TestParseFactsOfOddHosts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		err        string
		check      func(Facts) bool
	}{
		{"nothing", "", "no boot id", nil},
		{"noise", "hello\nworld\n", "no boot id", nil},
		{"bad content", "@host\nboot=b\n@file\npath=/a\ncontent=***\n", "content of /a", nil},
		{"noise in front", "last login\n@host\nboot=b\n", "", func(f Facts) bool { return f.BootID == "b" }},
		{"no systemd", "@host\nboot=b\n", "", func(f Facts) bool { return f.Systemd == 0 }},
		{"version of a distribution", "@host\nboot=b\nsystemd=257.13-1~deb13u1\n", "", func(f Facts) bool { return f.Systemd == 257 }},
		{"numbers that are none", "@host\nboot=b\nuptime=x\ntime=\nsystemd=v1\n", "", func(f Facts) bool { return f.Uptime == 0 && f.Systemd == 0 }},
		{"more inodes lines than disks", "@host\nboot=b\n@inodes\na 1 1 1 1% /\n", "", func(f Facts) bool { return f.Disk == nil }},
		{"record of another version", "@host\nboot=b\n@record\nversion=2\nstate=TRIAL\n", "", func(f Facts) bool { return f.Record.State == "version 2" && !f.Record.Unfinished() }},
		{"record without a version", "@host\nboot=b\n@record\nstate=TRIAL\n", "", func(f Facts) bool { return !f.Record.Unfinished() }},
		{"empty record", "@host\nboot=b\n@record\n", "", func(f Facts) bool { return !f.Record.Unfinished() }},
		{"no record", "@host\nboot=b\n", "", func(f Facts) bool { return f.Record == Record{} && f.LeaseLeft() == 0 }},
		{"history without owner", "@host\nboot=b\n@history\nr1 committed 1 - - - \n", "", func(f Facts) bool { return len(f.Releases) == 1 && f.Releases[0].Owner == "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseFacts(tt.text)
			switch {
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v, want one with %q", err, tt.err)
			case tt.err == "" && (err != nil || !tt.check(got)):
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// Whatever a host says, parsing it and looking at it does not panic, and a good answer has a boot id.
func FuzzParseFacts(f *testing.F) {
	f.Add(factsText)
	f.Add("@host\nboot=b\n")
	f.Add("@host\nboot=b\n@disk\n- - - - - -\n@inodes\n- 1 - - - -\n@record\nversion=1\nstate=COMMITTING\ndeadline=99999999999999999999\n")
	f.Add("@host\nboot=b\nuptime=-9223372036854775807\n@record\nversion=1\nstate=TRIAL\nboot=b\ndeadline=9223372036854775807\n")
	f.Add("@file\npath=\x00\ncontent=\n@@host\n@\n=\n\n@unit\n@dir\nlink==\n")
	f.Fuzz(func(t *testing.T, text string) {
		facts, err := ParseFacts(text)
		if err != nil {
			if facts.BootID != "" || facts.Files != nil {
				t.Error("facts beside an error")
			}
			return
		}
		if facts.BootID == "" {
			t.Error("no boot id, and no error")
		}
		x := example()
		x.Facts = facts
		x.Refusals()
		for _, s := range []Step{Lock{}, LogSetup{}, HealthCheck{}, UnitCopy{}, Start{}, Commit{}, Rollback{}} {
			s.Preview(x)
			s.Requests(x)
		}
		if facts.LeaseLeft() < 0 {
			t.Error("less than nothing of the lease is left")
		}
	})
}
