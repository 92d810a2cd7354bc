package steps

import (
	"strings"
	"testing"
	"time"

	"github.com/seatrial/seatrial/remote"
)

func TestDeploy(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("old"), unit("new"))
	b.tx.Previous = "r1"
	b.upTo("COMMITTED")
	b.expectState("COMMITTED")
	b.runs(unit("new"))
	if got := b.history(); got != "r1 found, r2 committed" {
		t.Errorf("history: %s", got)
	}
	if b.read(stateDir+"releases/r1/web.service") != unit("old") || b.read(stateDir+"releases/r2/web.service") != unit("new") {
		t.Error("the releases are not kept")
	}
	if mode, owner, group, _ := b.host.Stat(webPath); mode != 0o644 || owner != "root" || group != "root" {
		t.Errorf("the unit has mode %v, owner %s:%s", mode, owner, group)
	}
	if mode, _, _, _ := b.host.Stat(strings.TrimSuffix(stateDir, "/")); mode.Perm() != 0o700 {
		t.Errorf("the state has mode %v", mode)
	}
	b.must(Commit{}) // once more does no harm
	if got := b.history(); got != "r1 found, r2 committed" {
		t.Errorf("history: %s", got)
	}
	if code := b.ask(ReadReleaseRequest(b.tx, "r1")); code != 0 || b.says("file") != "path=web.service\nmode=644\nowner=root\ngroup=root\n\n"+unit("old")+"." {
		t.Errorf("status %d, release %q", code, b.says("file"))
	} else if f := ParseReleaseFile(b.says("file")); f.Path != "web.service" || string(f.Content) != unit("old") || f.Attributes != usual {
		t.Errorf("%+v", f)
	}
	b.expect(b.ask(ReadReleaseRequest(b.tx, "r0")), StatusRefused, "release r0 is not kept")
}

// The lint of a preview says what that of a deploy says, and leaves no file.
func TestLintLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		content string
		code    int
		says    string
	}{
		"good":     {unit("new"), 0, ""},
		"warning":  {unit("new", "Bogus=1"), 0, "web.service:5: Unknown key"},
		"bad":      {"[Service]\nType=simple\n", StatusUnit, "web.service"},
		"no files": {"", StatusUnit, "masked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), tt.content)
			b.tx.Facts = b.facts()
			before := strings.Join(b.host.List("/"), "\n")
			code := b.ask(Lint{}.Requests(b.tx)...)
			said := b.says("lint")
			if code != tt.code || !strings.Contains(said, tt.says) || tt.says == "" && said != "" {
				t.Errorf("status %d, %q", code, said)
			}
			if after := strings.Join(b.host.List("/"), "\n"); after != before {
				t.Errorf("the lint left a file:\n%s", after)
			}
			b.must(Lock{}, Guard{})
			if deploy := b.ask(UnitCopy{}.Requests(b.tx)...); deploy != code || b.says("lint") != said {
				t.Errorf("the deploy's lint says %d, %q; the preview's %d, %q", deploy, b.says("lint"), code, said)
			}
		})
	}
}

// Facts change nothing, not even on a host that knows the service.
func TestFactsOnlyRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("old"), unit("new"))
	before := strings.Join(b.host.List("/"), "\n")
	f := b.facts()
	if after := strings.Join(b.host.List("/"), "\n"); after != before {
		t.Error("facts made a file")
	}
	if b.host.Exists("/var/lib/seatrial") || b.host.Exists("/run/seatrial") {
		t.Error("facts made a directory")
	}
	u := f.Units["web.service"]
	if f.Systemd != 252 || !f.Analyze || f.Missing != nil || u["ActiveState"] != "active" || u["UnitFileState"] != "enabled" ||
		string(f.File(webPath).Content) != unit("old") || f.File(webPath).Digest != digestOf(unit("old")) || len(f.Disk) == 0 {
		t.Errorf("facts: %+v", f)
	}
	b.tx.Facts = f
	if r := b.tx.Refusals(); r != nil {
		t.Errorf("refused: %v", r)
	}
	b.upTo("TRIAL")
	f = b.facts()
	if f.Record.State != "TRIAL" || f.Record.Token != "tok" || f.Record.Owner != "me@here pid 1" || f.LeaseLeft() <= 50*time.Second ||
		f.File(trialDir+"web.service").Digest != digestOf(unit("new")) {
		t.Errorf("facts of a trial: %+v, %s left", f.Record, f.LeaseLeft())
	}
}

// What facts must see on hosts where nothing is as it should be.
func TestFactsOfOddPlaces(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, b *bench, want string) {
		t.Helper()
		b.tx.Facts = b.facts()
		if r := b.tx.Refusals(); len(r) != 1 || r[0].Text != want || r[0].Hint == "" {
			t.Errorf("refused: %+v", r)
		}
	}
	t.Run("systemd is installed and does not run", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		_ = b.host.Remove("/run/systemd/system")
		refused(t, b, "there is no systemd on this host")
	})
	t.Run("a file in the way of the state", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		b.put("/var/lib/seatrial", "x")
		refused(t, b, "/var/lib/seatrial cannot be written to")
	})
	t.Run("drop-ins wait for a first install", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "", unit("new"))
		b.tx.Service.Runs = []Run{{"a-b@1.service", webPath}}
		want := "/etc/systemd/system/a-b@1.service.d/1.conf /etc/systemd/system/a-b@.service.d/3.conf " +
			"/etc/systemd/system/a-.service.d/4.conf /usr/lib/systemd/system/a-b@.service.d/5.conf /etc/systemd/system/service.d/2.conf "
		for _, path := range strings.Fields(want + "/etc/systemd/system/a.service.d/no.conf /etc/systemd/system/a-.socket.d/no.conf /etc/systemd/system/a-.service.d/no") {
			b.put(path, "[Service]\n")
		}
		f := b.facts()
		if got := f.Units["a-b@1.service"]["DropInPaths"]; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if f.File("/etc/systemd/system/a-.service.d/4.conf").Digest == none {
			t.Error("a drop-in has no digest")
		}
	})
	t.Run("drop-ins of a unit that systemd has loaded", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		const etc, lib = "/etc/systemd/system/web.service.d/", "/usr/lib/systemd/system/web.service.d/"
		for _, path := range []string{etc + "new.conf", lib + "new.conf", lib + "empty.conf", lib + "more.conf"} {
			b.put(path, "[Service]\n")
		}
		b.put(etc+"empty.conf", "") // it takes the one of the distribution away
		if got, want := b.facts().Units["web.service"]["DropInPaths"], etc+"new.conf "+lib+"more.conf "; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestLockRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		setup func(*bench)
		code  int
		words string
	}{
		{"drift", func(b *bench) { b.put(webPath, unit("by hand")) }, StatusDrift, "changed after the preview: it was"},
		{"a file that went", func(b *bench) { _ = b.host.Remove(webPath) }, StatusDrift, "it is absent"},
		{"a companion that came", func(b *bench) {
			b.file("/etc/logrotate.d/web", "new")
			b.tx.Facts = b.facts()
			b.put("/etc/logrotate.d/web", "x")
		}, StatusDrift, "/etc/logrotate.d/web changed after the preview: it was absent"},
		{"linked unit", func(b *bench) {
			_ = b.host.Remove(webPath)
			b.put("/srv/web.service", unit("old"))
			_ = b.host.Symlink("/srv/web.service", webPath)
		}, StatusRefused, "is a symlink"},
		{"masked", func(b *bench) {
			b.put("/etc/systemd/system.control/x", "")
			_ = b.host.MaskUnit("web.service")
			_ = b.host.Remove(webPath)
			_ = b.host.Symlink("/dev/null", "/run/systemd/system/web.service")
			b.host.DaemonReload()
			b.tx.Facts.Files = nil
		}, StatusRefused, "web.service is masked"},
		{"somebody's trial", func(b *bench) { b.put(trialDir+"web.service", "x") }, StatusRefused, "exists and is not ours"},
		{"no space", func(b *bench) { b.host.Fill("/var/lib/") }, StatusRefused, "cannot open /var/lib/seatrial/web/lock"},
		{"no space for the record", func(b *bench) { b.host.Fill(stateDir + "record") }, StatusRefused, "cannot write /var/lib/seatrial/web/record"},
		{"no space in /run", func(b *bench) { b.host.Fill("/run/seatrial/") }, StatusRefused, "is /run full?"},
		{"record of another version", func(b *bench) { b.put(stateDir+"record", "version=2\nstate=IDLE\n") }, StatusRefused, "is of version 2"},
		{"another run", func(b *bench) { _ = b.host.Fail("lock") }, StatusLocked, "locked by somebody@elsewhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.tx.Facts = b.facts()
			tt.setup(b)
			b.expect(b.do(Lock{}), tt.code, tt.words)
			if b.record("token") == "tok" && b.state() != "RELEASED" {
				t.Errorf("the host is locked: %s", b.state())
			}
			if u := b.host.Unit("web.service"); u.MainPID == 0 && tt.name != "masked" {
				t.Error("the old unit does not run any more")
			}
		})
	}
}

func TestSecondRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("old"), unit("new"))
	b.upTo("TRIAL")
	mine, other := b.tx, b.tx
	other.Token = "thief"

	b.tx = other // a live lease is respected
	b.expect(b.do(Lock{}), StatusLocked, "locked by me@here pid 1, since now, for release r2 (TRIAL); the lease ends in")
	for _, s := range []Step{UnitCopy{}, Guard{}, Trial{}, Reload{}, Start{}, Settle{}, Verify{}, Commit{}, Rollback{"x"}, Release{}} {
		b.expect(b.do(s), StatusFenced, "another run has taken over this host: me@here pid 1 (TRIAL)")
	}
	b.expect(b.ask(Renew(other)), StatusFenced, "another run")
	b.expectState("TRIAL")

	b.tx = mine // ours goes on
	b.must(Reload{}, Start{}, Settle{}, Commit{})
	b.runs(unit("new"))
}

// The lease is over, the guard has not come yet (it is dead, or the host is LOCKED): the next run undoes what is left.
func TestTakingOver(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"LOCKED", "ARMED", "STAGED", "TRIAL", "STARTED", "SETTLED"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.upTo(state)
			b.host.StopUnit("seatrial-guard-tok.service")
			b.host.Advance(2 * time.Minute)
			zombie := b.tx
			b.tx.Token, b.tx.Release = "next", "r3"
			b.upTo("STAGED")
			b.unitRuns("web.service", webPath, unit("old"))
			mine := b.tx
			b.tx = zombie
			b.expect(b.do(Commit{}), StatusFenced, "another run has taken over")
			b.expect(b.do(Trial{}), StatusFenced, "another run has taken over")
			b.tx = mine
			b.must(Trial{}, Reload{}, Start{}, Settle{}, Verify{}, Commit{})
			b.runs(unit("new"))
		})
	}
}

// A dead run: the guard reverts by itself as soon as the lease is over, and not before.
func TestGuard(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"ARMED", "STAGED", "TRIAL", "STARTED", "SETTLED"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.upTo(state)
			b.host.Disconnect()
			b.host.Advance(50 * time.Second)
			if b.state() == "REVERTED" {
				t.Error("the guard did not wait for the end of the lease")
			}
			b.host.Advance(60 * time.Second)
			b.expectState("REVERTED")
			b.runs(unit("old"))
		})
	}
	t.Run("renewed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		b.upTo("SETTLED")
		for range 5 {
			b.host.Advance(45 * time.Second)
			if code := b.ask(Renew(b.tx)); code != 0 {
				t.Fatalf("status %d: %s", code, b.says("error"))
			}
		}
		b.must(Commit{})
		b.host.Advance(5 * time.Minute)
		b.runs(unit("new"))
	})
	t.Run("committed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		b.upTo("COMMITTED")
		b.host.Advance(5 * time.Minute)
		b.expectState("COMMITTED")
		b.runs(unit("new"))
	})
	t.Run("first install", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "", unit("new"))
		b.upTo("SETTLED")
		b.host.Disconnect()
		b.host.Advance(2 * time.Minute)
		b.expectState("REVERTED")
		b.runs("")
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		b.upTo("SETTLED")
		b.host.KillUnit("seatrial-guard-tok.service", "KILL")
		b.host.Disconnect()
		b.host.Advance(3 * time.Minute)
		b.expectState("REVERTED")
		b.runs(unit("old"))
	})
	t.Run("killed when it has done its work", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		b.upTo("ARMED")
		b.writeRecord("REVERTED")
		_ = b.host.Remove("/run/seatrial/web")
		b.host.KillUnit("seatrial-guard-tok.service", "KILL")
		b.host.Advance(5 * time.Second)
		b.runs(unit("old"))
	})
	for _, signal := range []string{"", "KILL"} {
		t.Run("a script dies right after its last word "+signal, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.upTo("ARMED")
			b.writeRecord("REVERTED") // and what is in /run is still there
			if signal != "" {
				b.host.KillUnit("seatrial-guard-tok.service", signal)
			}
			b.host.Advance(2 * time.Minute)
			b.runs(unit("old"))
		})
	}
	t.Run("disk full, then space again", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		b.upTo("SETTLED")
		b.host.Disconnect()
		b.host.Fill("/var/lib/")
		b.host.Advance(2 * time.Minute)
		if b.state() == "REVERTED" {
			t.Error("reverted without a record")
		}
		b.host.Free("/var/lib/")
		b.host.Advance(30 * time.Second)
		b.expectState("REVERTED")
		b.runs(unit("old"))
	})
}

// No resurrection: what comes after the lease is refused, and the way back stays open.
func TestAfterTheLease(t *testing.T) {
	t.Parallel()
	for state, next := range map[string]Step{"LOCKED": Guard{}, "ARMED": UnitCopy{}, "STAGED": Trial{}, "TRIAL": Start{}, "SETTLED": Commit{}} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.upTo(state)
			b.host.StopUnit("seatrial-guard-tok.service")
			b.host.Advance(2 * time.Minute)
			b.expect(b.ask(Renew(b.tx)), StatusState, "the lease has ended")
			if next != nil {
				b.expect(b.do(next), StatusState, "the lease has ended")
			}
			b.must(Rollback{"test"})
			b.expectState("REVERTED")
			b.runs(unit("old"))
			b.expect(b.ask(Renew(b.tx)), StatusState, "there is no lease to renew")
		})
	}
}

// The host dies in every state, and comes back with exactly the old unit; the next contact closes the record.
func TestReboot(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"LOCKED", "ARMED", "STAGED", "TRIAL", "STARTED", "SETTLED", "COMMITTED"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.upTo(state)
			b.host.Reboot()
			want := unit("old")
			if state == "COMMITTED" {
				want = unit("new")
			}
			b.unitRuns("web.service", webPath, want)
			b.connect()
			b.tx.Token = "next"
			b.tx.Facts = b.facts()
			if r := b.tx.Refusals(); r != nil {
				t.Errorf("refused: %v", r)
			}
			b.must(Lock{})
			b.must(Release{})
			b.expectState("RELEASED")
			b.runs(want)
		})
	}
	t.Run("first install", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "", unit("new"))
		b.upTo("SETTLED")
		b.host.Reboot()
		b.connect()
		b.tx.Token = "next"
		b.tx.Facts = b.facts()
		b.must(Lock{}, Release{})
		b.runs("")
	})
}

// Rolling back from every state; the old unit is restarted only when the new one was started.
func TestRollbackFromEveryState(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"LOCKED", "ARMED", "STAGED", "TRIAL", "STARTED", "SETTLED", "COMMITTED"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			before := b.host.Unit("web.service").InvocationID
			b.upTo(state)
			b.must(Rollback{"test"})
			b.expectState("REVERTED")
			if b.says("state") != "REVERTED" {
				t.Errorf("the host says %q", b.says("state"))
			}
			b.runs(unit("old"))
			started := state == "STARTED" || state == "SETTLED" || state == "COMMITTED"
			if restarted := b.host.Unit("web.service").InvocationID != before; restarted != started {
				t.Errorf("the old unit was restarted: %v", restarted)
			}
			b.must(Rollback{"again"})
			b.runs(unit("old"))
			b.expect(b.do(Commit{}), StatusState, "cannot commit now: REVERTED")
			b.expect(b.do(UnitCopy{}), StatusState, "cannot copy now: REVERTED")
			b.expect(b.do(Guard{}), StatusState, "cannot arm the guard now: REVERTED")
			b.expect(b.do(Reload{}), StatusState, "cannot reload now: REVERTED")
			b.expect(b.do(Start{}), StatusState, "cannot start now: REVERTED")
			b.expect(b.do(Settle{}), StatusState, "the trial was ended: REVERTED")
		})
	}
	for _, state := range []string{"STAGED", "TRIAL", "SETTLED", "COMMITTED"} {
		t.Run("first install, "+state, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "", unit("new"))
			b.upTo(state)
			b.must(Rollback{"test"})
			b.runs("")
			if left := b.host.List("/etc/systemd/system/"); len(left) > 0 {
				t.Errorf("left in /etc/systemd/system: %v", left)
			}
		})
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fresh string
		upTo  string
		setup func(*bench)
		step  Step
		code  int
		words string
	}{
		{"lint", "[Service]\n", "ARMED", nil, UnitCopy{}, StatusUnit, "systemd-analyze verify refuses the unit"},
		{"no space for the stage", unit("new"), "ARMED", func(b *bench) { b.host.Fill("/etc/systemd/") }, UnitCopy{}, StatusRefused, "cannot write /etc/systemd/system/.seatrial-web.service.stage"},
		{"no space for the release", unit("new"), "ARMED", func(b *bench) { b.host.Fill(stateDir + "releases/") }, UnitCopy{}, StatusRefused, "cannot keep the release"},
		{"no space for the old one", unit("new"), "ARMED", func(b *bench) { b.host.Fill(stateDir + "prev/") }, UnitCopy{}, StatusRefused, "cannot keep the previous"},
		{"no systemd-run", unit("new"), "LOCKED", func(b *bench) { _ = b.host.Fail("guard") }, Guard{}, StatusSystemd, "systemd-run could not start the guard"},
		{"no space for the guard", unit("new"), "LOCKED", func(b *bench) { b.host.Fill("/run/seatrial/web/guard.sh") }, Guard{}, StatusRefused, "is /run full?"},
		{"copy before the guard", unit("new"), "LOCKED", nil, UnitCopy{}, StatusState, "cannot copy now: LOCKED"},
		{"trial before the copy", unit("new"), "ARMED", nil, Trial{}, StatusState, "cannot begin the trial now: ARMED"},
		{"no space for the trial", unit("new"), "STAGED", func(b *bench) { b.host.Fill(trialDir) }, Trial{}, StatusRefused, "cannot write the trial"},
		{"reload is refused", unit("new"), "TRIAL", func(b *bench) { _ = b.host.Fail("reload") }, Reload{}, StatusSystemd, "daemon-reload was refused"},
		{"something precedes the trial", unit("new"), "TRIAL", func(b *bench) { b.put("/etc/systemd/system.control/web.service", unit("x")) }, Reload{}, StatusSystemd, "systemd loaded web.service from /etc/systemd/system.control/web.service"},
		{"commit before the trial", unit("new"), "STAGED", nil, Commit{}, StatusState, "cannot commit now: STAGED"},
		{"changed behind our back", unit("new"), "SETTLED", func(b *bench) { b.put(webPath, unit("by hand")) }, Commit{}, StatusDrift, "was changed by somebody else during the trial"},
		{"died after it had settled", unit("new"), "SETTLED", func(b *bench) { b.host.KillUnit("web.service", "KILL") }, Commit{}, StatusUnit, "web.service is no longer active"},
		{"restarted after it had settled", unit("new", "Restart=always"), "SETTLED", func(b *bench) {
			b.host.KillUnit("web.service", "KILL")
			b.host.Advance(5 * time.Second)
		}, Commit{}, StatusUnit, "web.service was restarted after it had settled"},
		{"restarted by somebody after it had settled", unit("new"), "SETTLED", func(b *bench) { _ = b.host.StartUnit("web.service") }, Commit{}, StatusUnit, "web.service was restarted after it had settled"},
		{"restarted by somebody before it is verified", unit("new"), "SETTLED", func(b *bench) { _ = b.host.StartUnit("web.service") }, Verify{}, StatusUnit, "web.service was restarted after it had settled"},
		{"no rename", unit("new"), "SETTLED", func(b *bench) { _ = b.host.Fail("commit") }, Commit{}, StatusSystemd, "cannot rename the new"},
		{"nothing to give back", unit("new"), "TRIAL", nil, Release{}, StatusState, "cannot give the lease back now: TRIAL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), tt.fresh)
			b.upTo(tt.upTo)
			if tt.setup != nil {
				tt.setup(b)
			}
			b.expect(b.do(tt.step), tt.code, tt.words)
			if tt.name == "no rename" {
				b.expectState("COMMITTING") // decided, and written down before the rename
			}
			for _, f := range []string{"guard", "reload", "commit"} {
				b.host.Heal(f)
			}
			for _, f := range []string{"/etc/systemd/", stateDir + "releases/", stateDir + "prev/", "/run/seatrial/web/guard.sh", trialDir} {
				b.host.Free(f)
			}
			if strings.HasPrefix(tt.name, "changed") {
				b.expect(b.do(Rollback{"test"}), StatusUnhealthy, "")
				if b.read(webPath) != unit("by hand") {
					t.Error("somebody else's change was overwritten")
				}
				b.nothingLeft()
				return
			}
			b.must(Rollback{"test"})
			_ = b.host.Remove("/etc/systemd/system.control/web.service")
			b.host.DaemonReload()
			b.runs(unit("old"))
		})
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fresh string
		code  int
		words string
	}{
		{"good", unit("new"), 0, ""},
		{"slow, notify", unit("--slow-start=10s", "Type=notify"), 0, ""},
		{"crash loop", unit("--crash-after=8s", "Restart=always"), StatusUnit, "restarted"},
		{"crash loop without a delay", unit("--crash-after=8s", "Restart=always", "RestartSec=0"), StatusUnit, "web.service"},
		{"dies once", unit("--crash-after=3s"), StatusUnit, "web.service failed"},
		{"exits", unit("--exit=0"), StatusUnit, "web.service ended"},
		{"missing program", unit("--missing=1"), StatusUnit, "203"},
		{"never ready", unit("--never-ready", "Type=notify", "TimeoutStartSec=90"), StatusUnit, "did not become active within 30 s"},
		{"never ready, systemd gives up first", unit("--never-ready", "Type=notify", "TimeoutStartSec=5"), StatusUnit, "Result=timeout"},
		{"oneshot", unit("new", "Type=oneshot", "RemainAfterExit=yes"), 0, ""},
		{"oneshot that ends", unit("new", "Type=oneshot"), 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), tt.fresh)
			b.tx.Service.Window = 10 * time.Second
			if strings.Contains(tt.fresh, "--missing") {
				b.tx.Service.Files[0].Content = []byte(unit("new"))
				b.tx.Service.Files[0].Digest = digestOf(unit("new"))
				_ = b.host.Fail("start")
			}
			b.upTo("STARTED")
			code := b.do(Settle{})
			if code != tt.code || !strings.Contains(b.says("error"), tt.words) {
				t.Errorf("status %d: %s, want %d: %s", code, b.says("error"), tt.code, tt.words)
			}
			if !strings.HasPrefix(b.says("invocation"), "web.service ") {
				t.Errorf("invocation: %q", b.says("invocation"))
			}
			b.must(Rollback{"test"})
			b.runs(unit("old"))
		})
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		words  string
		listen []string
		hold   string
		code   int
		want   string
	}{
		{"good", "new", []string{address}, "", 0, "web.service listens on 127.0.0.1:8003"},
		{"any address is asked for", "new", []string{":8003"}, "", 0, "web.service listens on :8003"},
		{"listens on all", "--listen=0.0.0.0:8003", []string{address}, "", 0, "web.service listens on 127.0.0.1:8003"},
		{"two addresses", "--listen=127.0.0.1:1 --listen=127.0.0.1:2", []string{":1", ":2"}, "", 0, "web.service listens on :2"},
		{"none are asked for", "--listen=none", nil, "", 0, ""},
		{"nothing listens", "--listen=none", []string{address}, "", StatusUnit, "nothing listens on 127.0.0.1:8003 after 5 s"},
		{"wrong port", "--listen=127.0.0.1:8004", []string{address}, "", StatusUnit, "nothing listens on 127.0.0.1:8003"},
		{"wrong address", "--listen=127.0.0.2:8003", []string{address}, "", StatusUnit, "listens on 127.0.0.1:8003"},
		{"held by another", "--listen=127.0.0.1:9999", []string{"127.0.0.1:9000"}, "127.0.0.1:9000", StatusUnit, "127.0.0.1:9000 is held by another process: pid"},
		{"slow", "--slow-start=4s", []string{address}, "", 0, "web.service listens on"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit(tt.words))
			b.tx.Service.Verify.Listen = tt.listen
			if tt.hold != "" {
				release, err := b.host.Hold(tt.hold)
				if err != nil {
					t.Fatal(err)
				}
				defer release()
			}
			b.upTo("STARTED")
			b.must(Settle{})
			code := b.do(Verify{})
			if said := b.says("error") + b.says("changed"); code != tt.code || !strings.Contains(said, tt.want) {
				t.Errorf("status %d: %s, want %d: %s", code, said, tt.code, tt.want)
			}
			if again := b.do(Verify{Anytime: true}); again != tt.code {
				t.Errorf("without a token: status %d", again)
			}
		})
	}
	t.Run("not active", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		b.host.StopUnit("web.service")
		b.expect(b.do(Verify{Anytime: true}), StatusUnit, "web.service is not active: inactive/dead")
	})
}

func TestChecks(t *testing.T) {
	t.Parallel()
	command := Check{Kind: "command", Words: []string{"./manage.py", "check"}, WorkingDirectory: "/srv/web", Timeout: 5 * time.Second}
	with := func(change func(*Check)) Check { c := command; change(&c); return c }
	path := func(kind, path string) Check { return Check{Kind: kind, Words: []string{path}, Timeout: time.Second} }
	tests := []struct {
		name   string
		check  Check
		code   int
		result string
		output string
	}{
		{"directory", path("directory", "/srv/web"), 0, "passed", ""},
		{"no directory", path("directory", "/srv/none"), StatusUnit, "failed", "/srv/none is not a directory on this host"},
		{"file for a directory", path("directory", "/srv/web/file"), StatusUnit, "failed", "is not a directory"},
		{"file", path("file", "/srv/web/file"), 0, "passed", ""},
		{"directory for a file", path("file", "/srv/web"), StatusUnit, "failed", "is not a file"},
		{"executable", path("executable", "/srv/web/run"), 0, "passed", ""},
		{"not executable", path("executable", "/srv/web/file"), StatusUnit, "failed", "is not an executable file"},
		{"hostile name", path("file", "/srv/it's \"$(touch /pwned)\"\n; touch /pwned"), StatusUnit, "failed", "$(touch /pwned)"},
		{"hostile name that is there", path("file", "/srv/web/a b'$(x)\n"), 0, "passed", ""},
		{"command", command, 0, "passed", "simulated"},
		{"no working directory", with(func(c *Check) { c.WorkingDirectory = "/srv/none" }), StatusUnit, "failed", "the working directory /srv/none does not exist"},
		{"user", with(func(c *Check) { c.User = "www-data" }), 0, "passed", "simulated"},
		{"no user", with(func(c *Check) { c.User = "ghost" }), StatusUnit, "failed", "there is no user ghost on this host"},
		{"status", with(func(c *Check) { c.Words = []string{"/bin/sh", "-c", "echo why; echo really >&2; exit 3"} }), StatusUnit, "failed", "why\nreally\n\nexit status 3"},
		{"too long", with(func(c *Check) { c.Words = []string{"sleep", "60"} }), StatusUnit, "failed", "did not end within 5 s"},
		{"only a warning", with(func(c *Check) { c.Warning, c.Words = true, []string{"false"} }), 0, "warning", "exit status 1"},
		{"much output", with(func(c *Check) {
			c.Words = []string{"/bin/sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo xxxxxxxxx; i=$((i + 1)); done; exit 1"}
		}), StatusUnit, "failed", "xxxx\n\nexit status 1"},
		{"output that looks like a status", with(func(c *Check) { c.Words = []string{"/bin/sh", "-c", "echo status=0; exit 1"} }), StatusUnit, "failed", "exit status 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.put("/srv/web/file", "")
			b.put("/srv/web/a b'$(x)\n", "")
			_ = b.host.WriteFile("/srv/web/run", nil, 0o755, "root", "root")
			b.host.NoUser("ghost")
			b.tx.Service.Checks = []Check{tt.check}
			if code := b.do(HealthCheck{}); code != tt.code || b.says("result") != tt.result || !strings.Contains(b.says("output"), tt.output) {
				t.Errorf("status %d, %s: %q; want %d, %s: %q", code, b.says("result"), b.says("output"), tt.code, tt.result, tt.output)
			}
			if len(b.says("output")) > 17<<10 {
				t.Errorf("%d bytes of output", len(b.says("output")))
			}
			if b.host.Exists("/pwned") {
				t.Error("the check's name was run")
			}
			if b.host.Exists("/var/lib/seatrial") || b.host.Exists("/run/seatrial") {
				t.Error("a check left something behind")
			}
		})
	}
	t.Run("environment", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, unit("old"), unit("new"))
		hostile := "it's \"$(touch /pwned)\"\n\n"
		_ = b.host.Mkdir("/srv/web", 0o755, "root", "root")
		b.tx.Service.Checks = []Check{with(func(c *Check) {
			c.User, c.Environment, c.Words = "www-data", []string{"A=" + hostile, "B="}, []string{"./manage.py", hostile, "", "-x"}
		})}
		b.must(HealthCheck{})
		all := b.host.Commands()
		if len(all) != 1 {
			t.Fatalf("commands: %+v", all)
		}
		c := all[0]
		if strings.Join(c.Args, "|") != "./manage.py|"+hostile+"||-x" || c.User != "www-data" || c.Dir != "/srv/web" {
			t.Errorf("ran %+v", c)
		}
		env := strings.Join(c.Env, "|")
		if !strings.Contains(env, "|A="+hostile[:1]) && !strings.HasPrefix(env, "A="+hostile) || !strings.Contains(env, "B=") || strings.Contains(env, "SEATRIAL") || !strings.Contains(env, "HOME=") {
			t.Errorf("environment %q", c.Env)
		}
	})
}

func TestLogSetup(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		setup func(*bench)
		code  int
		said  []string
	}{
		{"missing", nil, 0, []string{"created /var/log/web", "owner root:root -> www-data:adm", "mode 755 -> 2750"}},
		{"in order", func(b *bench) {
			b.must(LogSetup{})
		}, 0, nil},
		{"a file", func(b *bench) { b.put("/var/log/web", "") }, StatusRefused, []string{"/var/log/web exists and is not a directory"}},
		{"a link to a directory", func(b *bench) {
			_ = b.host.Mkdir("/data/log", 0o700, "www-data", "adm")
			_ = b.host.Symlink("/data/log", "/var/log/web")
		}, 0, []string{"mode 700 -> 2750"}},
		{"read-only", func(b *bench) { _ = b.host.Fail("log-setup") }, StatusRefused, []string{"cannot create /var/log/web"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.tx.Service.Log = &Directory{"/var/log/web", "www-data", "adm", "2750"}
			if tt.setup != nil {
				tt.setup(b)
			}
			code := b.do(LogSetup{})
			var said []string
			for _, r := range b.said {
				if r.Key != remote.EndKey {
					said = append(said, r.Text)
				}
			}
			if code != tt.code || strings.Join(said, "|") != strings.Join(tt.said, "|") {
				t.Errorf("status %d, said %q; want %d, %q", code, said, tt.code, tt.said)
			}
		})
	}
}
