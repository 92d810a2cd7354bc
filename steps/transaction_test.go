package steps

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const (
	workerPath  = UnitDirectory + "/worker.service"
	templates   = UnitDirectory + "/work@.service"
	logrotate   = "/etc/logrotate.d/web"
	quietWorker = "--listen=none"
)

// pair is a bench whose service has two units that move together.
func pair(t *testing.T, old, fresh, oldWorker, freshWorker string) *bench {
	t.Helper()
	b := newBench(t, old, fresh)
	b.file(workerPath, freshWorker)
	b.tx.Service.Runs = append(b.tx.Service.Runs, Run{"worker.service", workerPath})
	if oldWorker != "" {
		b.install(workerPath, oldWorker)
	}
	return b
}

func TestTwoUnits(t *testing.T) {
	t.Parallel()
	old, fresh := unit(quietWorker, "# old"), unit(quietWorker, "# new")
	t.Run("good", func(t *testing.T) {
		t.Parallel()
		b := pair(t, unit("old"), unit("new"), old, fresh)
		b.upTo("COMMITTED")
		b.runs(unit("new"))
		b.unitRuns("worker.service", workerPath, fresh)
	})
	t.Run("one is new, one is there", func(t *testing.T) {
		t.Parallel()
		b := pair(t, unit("old"), unit("new"), "", fresh)
		b.upTo("COMMITTED")
		b.runs(unit("new"))
		b.unitRuns("worker.service", workerPath, fresh)
		b.must(Rollback{"test"})
		b.runs(unit("old"))
		b.unitRuns("worker.service", workerPath, "")
	})
	t.Run("the second dies: both go back", func(t *testing.T) {
		t.Parallel()
		b := pair(t, unit("old"), unit("new"), old, unit("--listen=none --crash-after=1s"))
		b.upTo("STARTED")
		b.expect(b.do(Settle{}), StatusUnit, "worker.service failed")
		b.must(Rollback{"test"})
		b.runs(unit("old"))
		b.unitRuns("worker.service", workerPath, old)
	})
	t.Run("only one changes", func(t *testing.T) {
		t.Parallel()
		b := pair(t, unit("old"), unit("old"), old, fresh)
		b.upTo("COMMITTED")
		b.runs(unit("old"))
		b.unitRuns("worker.service", workerPath, fresh)
		b.must(Rollback{"test"})
		b.unitRuns("worker.service", workerPath, old)
	})
	t.Run("neither changes", func(t *testing.T) {
		t.Parallel()
		b := pair(t, unit("old"), unit("old"), old, old)
		before := b.host.Unit("web.service").InvocationID
		b.upTo("COMMITTED")
		b.runs(unit("old"))
		if b.host.Unit("web.service").InvocationID == before {
			t.Error("a deploy restarts")
		}
	})
	t.Run("the old one did not run", func(t *testing.T) {
		t.Parallel()
		b := pair(t, unit("old"), unit("new"), old, fresh)
		b.host.StopUnit("worker.service")
		b.upTo("SETTLED")
		b.must(Rollback{"test"})
		b.runs(unit("old"))
		if u := b.host.Unit("worker.service"); u.Active != "inactive" || b.read(workerPath) != old {
			t.Errorf("the worker is %s", u.Active)
		}
	})
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	old, fresh := unit(quietWorker, "# old %i"), unit(quietWorker, "# new %i")
	for _, first := range []bool{false, true} {
		b := newBench(t, "", "")
		b.tx.Service.Files, b.tx.Service.Verify.Listen = nil, nil
		b.file(templates, fresh)
		b.tx.Service.Runs = []Run{{"work@1.service", templates}, {"work@b.service", templates}}
		want := ""
		if !first {
			b.install(templates, old, "work@1.service", "work@b.service")
			want = old
		}
		b.upTo("COMMITTED")
		for _, name := range []string{"work@1.service", "work@b.service"} {
			b.unitRuns(name, templates, fresh)
			if state := b.host.Unit(name).FileState; state != "enabled" {
				t.Errorf("%s is %s", name, state)
			}
		}
		b.must(Rollback{"test"})
		for _, name := range []string{"work@1.service", "work@b.service"} {
			b.unitRuns(name, templates, want)
		}
		b.nothingLeft()
		if left := b.host.List("/etc/systemd/system/"); first && len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// The logrotate file comes into its place at the commit and not before, and goes with a rollback.
func TestCompanion(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", "old rotation\n"} {
		for _, end := range []string{"COMMITTED", "undone", "SETTLED"} {
			t.Run(end+" over "+strings.TrimSpace(before), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, unit("old"), unit("new"))
				if before != "" {
					_ = b.host.WriteFile(logrotate, []byte(before), 0o600, "www-data", "adm")
				}
				b.file(logrotate, "new rotation\n")
				b.upTo("SETTLED")
				if b.read(logrotate) != before {
					t.Errorf("changed before the commit: %q", b.read(logrotate))
				}
				want := before
				if end != "SETTLED" {
					b.must(Commit{})
					if b.read(logrotate) != "new rotation\n" {
						t.Errorf("after the commit: %q", b.read(logrotate))
					}
				}
				if end == "COMMITTED" {
					b.runs(unit("new"))
					return
				}
				b.must(Rollback{"test"})
				b.runs(unit("old"))
				mode, owner, group, _ := b.host.Stat(logrotate)
				if b.read(logrotate) != want || b.host.Exists(logrotate) != (before != "") || before != "" && (mode != 0o600 || owner != "www-data" || group != "adm") {
					t.Errorf("after the rollback: %q, mode %v, %s:%s", b.read(logrotate), mode, owner, group)
				}
			})
		}
	}
}

// killed are the places at which a script may have been cut short: what was done is done by hand here, and the record says
// what the script had written by then.
func TestRecoverFromEveryPlace(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		upTo  string
		build func(*bench)
		fresh bool // it goes forward
	}{
		{"guard runs, not written", "ARMED", func(b *bench) { b.writeRecord("LOCKED") }, false},
		{"STAGED, nothing written", "ARMED", func(b *bench) { b.writeRecord("STAGED") }, false},
		{"STAGED, half a stage", "ARMED", func(b *bench) {
			b.writeRecord("STAGED")
			b.put(UnitDirectory+"/.seatrial-web.service.stage.tmp", "half")
		}, false},
		{"TRIAL, nothing copied", "STAGED", func(b *bench) { b.writeRecord("TRIAL") }, false},
		{"TRIAL, half a copy", "STAGED", func(b *bench) {
			b.writeRecord("TRIAL")
			b.put(trialDir+".seatrial-web.service.tmp", "half")
		}, false},
		{"TRIAL, reloaded", "TRIAL", func(b *bench) { b.host.DaemonReload() }, false},
		{"COMMITTING, nothing renamed", "SETTLED", func(b *bench) { b.writeRecord("COMMITTING") }, false},
		{"COMMITTING, renamed", "SETTLED", func(b *bench) {
			b.writeRecord("COMMITTING")
			b.rename(webPath)
		}, true},
		{"COMMITTING, trial removed", "SETTLED", func(b *bench) {
			b.writeRecord("COMMITTING")
			b.rename(webPath)
			_ = b.host.Remove(trialDir + "web.service")
		}, true},
		{"COMMITTING, reloaded", "SETTLED", func(b *bench) {
			b.writeRecord("COMMITTING")
			b.rename(webPath)
			_ = b.host.Remove(trialDir + "web.service")
			b.host.DaemonReload()
		}, true},
		{"REVERTING, nothing done", "SETTLED", func(b *bench) { b.writeRecord("REVERTING") }, false},
		{"REVERTING, trial removed", "SETTLED", func(b *bench) {
			b.writeRecord("REVERTING")
			_ = b.host.Remove(trialDir + "web.service")
		}, false},
		{"REVERTING, reloaded", "SETTLED", func(b *bench) {
			b.writeRecord("REVERTING")
			_ = b.host.Remove(trialDir + "web.service")
			b.host.DaemonReload()
		}, false},
		{"REVERTING, restarted", "SETTLED", func(b *bench) {
			b.writeRecord("REVERTING")
			_ = b.host.Remove(trialDir + "web.service")
			b.host.DaemonReload()
			b.host.StopUnit("web.service")
			_ = b.host.StartUnit("web.service")
		}, false},
	}
	by := map[string]func(*bench){
		"rollback": func(b *bench) { b.must(Rollback{"test"}) },
		"guard": func(b *bench) {
			b.host.Disconnect()
			b.host.Advance(3 * time.Minute)
		},
		"next run": func(b *bench) {
			b.host.StopUnit("seatrial-guard-tok.service")
			b.host.Advance(2 * time.Minute)
			b.tx.Token = "next"
			b.tx.Facts = Facts{}
			b.do(Lock{}) // the facts are from before: what it found has moved on
			b.tx.Facts = b.facts()
			b.must(Lock{}, Release{})
		},
		"reboot": func(b *bench) {
			b.host.Reboot()
			b.connect()
			b.tx.Token = "next"
			b.tx.Facts = b.facts()
			b.must(Lock{}, Release{})
		},
	}
	for _, tt := range tests {
		for who, undo := range by {
			if who == "guard" && (tt.upTo == "LOCKED") {
				continue // there is none yet
			}
			t.Run(tt.name+", by "+who, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, unit("old"), unit("new"))
				b.upTo(tt.upTo)
				tt.build(b)
				undo(b)
				want := unit("old")
				if tt.fresh {
					want = unit("new")
				}
				b.runs(want)
				if state := b.state(); state != "REVERTED" && state != "COMMITTED" && state != "RELEASED" {
					t.Errorf("the record is in state %s", state)
				}
			})
		}
	}
}

// rename does what a commit does to one file.
func (b *bench) rename(path string) {
	stage := UnitDirectory + "/.seatrial-" + strings.TrimPrefix(path, UnitDirectory+"/") + ".stage"
	b.put(path, b.read(stage))
	_ = b.host.Remove(stage)
}

// armBoot does what a commit does before the first of several renames.
func (b *bench) armBoot() {
	const name = "seatrial-commit-web.service"
	b.put(UnitDirectory+"/"+name, "[Unit]\nDescription=seatrial finishes the commit of web\n[Service]\nType=oneshot\n"+
		"ExecStart=/bin/sh -c \"exec flock -w 90 /var/lib/seatrial/web/lock /bin/sh /var/lib/seatrial/web/reserve @run booted web\"\n")
	if err := b.host.Symlink("../"+name, UnitDirectory+"/multi-user.target.wants/"+name); err != nil {
		b.t.Fatal(err)
	}
}

// One of two files is renamed, and then the script is cut short: it can only go forward.
func TestHalfACommit(t *testing.T) {
	t.Parallel()
	old, fresh := unit(quietWorker, "# old"), unit(quietWorker, "# new")
	half := func(t *testing.T) *bench {
		b := pair(t, unit("old"), unit("new"), old, fresh)
		b.upTo("SETTLED")
		b.writeRecord("COMMITTING")
		b.rename(webPath)
		return b
	}
	done := func(b *bench) {
		b.t.Helper()
		b.runs(unit("new"))
		b.unitRuns("worker.service", workerPath, fresh)
		b.expectState("COMMITTED")
		if b.history() != "r2 committed" {
			b.t.Errorf("history: %s", b.history())
		}
	}
	t.Run("commit again", func(t *testing.T) {
		t.Parallel()
		b := half(t)
		b.must(Commit{})
		done(b)
	})
	t.Run("rollback", func(t *testing.T) {
		t.Parallel()
		b := half(t)
		b.must(Rollback{"test"})
		if b.says("state") != "COMMITTED" {
			t.Errorf("the host says %s", b.says("state"))
		}
		done(b)
	})
	t.Run("its lease is stolen", func(t *testing.T) {
		t.Parallel()
		b := half(t)
		b.tx.Token, b.tx.Facts = "thief", b.facts()
		steal := Unlock{Steal: true}
		if lines := steal.Preview(b.tx); len(lines) != 1 || !strings.Contains(lines[0].Text, "finish or undo its commit (release r2, COMMITTING)") {
			t.Errorf("preview: %+v", lines)
		}
		b.must(steal)
		if said := b.says("changed"); !strings.Contains(said, "finished the commit that its run had begun") {
			t.Errorf("the host says %q", said)
		}
		done(b)
		b.tx.Token = "tok"
		b.expect(b.do(Rollback{"zombie"}), StatusFenced, "another run has taken over")
	})
	t.Run("guard", func(t *testing.T) {
		t.Parallel()
		b := half(t)
		b.host.Disconnect()
		b.host.Advance(3 * time.Minute)
		done(b)
	})
	t.Run("power lost", func(t *testing.T) { // the boot finishes it by itself
		t.Parallel()
		b := half(t)
		b.armBoot()
		b.host.Reboot()
		b.host.Advance(5 * time.Second)
		done(b)
	})
	t.Run("power lost, and no room for the boot to finish it", func(t *testing.T) {
		t.Parallel()
		b := half(t)
		b.host.Reboot()
		b.connect()
		b.must(Rollback{"test"})
		done(b)
	})
	t.Run("power lost in a first install", func(t *testing.T) { // nothing is enabled yet
		t.Parallel()
		b := newBench(t, "", unit("new"))
		b.upTo("SETTLED")
		b.writeRecord("COMMITTING")
		b.armBoot()
		b.rename(webPath)
		b.host.Reboot()
		b.host.Advance(5 * time.Second)
		b.runs(unit("new"))
		if state := b.host.Unit("web.service").FileState; state != "enabled" {
			t.Errorf("the unit is %s", state)
		}
	})
	t.Run("power lost before the first rename", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, "", unit("new"))
		b.upTo("SETTLED")
		b.writeRecord("COMMITTING")
		b.armBoot()
		b.host.Reboot()
		b.host.Advance(5 * time.Second)
		b.runs("")
		b.expectState("REVERTED")
	})
	t.Run("only a mode has changed so far", func(t *testing.T) { // so nothing of the new release is in place: back
		t.Parallel()
		b := pair(t, unit("same"), unit("same"), old, fresh)
		if err := b.host.WriteFile(webPath, []byte(unit("same")), 0o600, "root", "root"); err != nil {
			t.Fatal(err)
		}
		b.upTo("SETTLED")
		b.writeRecord("COMMITTING")
		b.rename(webPath)
		b.must(Rollback{"test"})
		b.expectState("REVERTED")
		b.runs(unit("same"))
		b.unitRuns("worker.service", workerPath, old)
		if mode, _, _, err := b.host.Stat(webPath); err != nil || mode != 0o600 {
			t.Errorf("%s has mode %o, %v", webPath, mode, err)
		}
	})
	t.Run("it cannot go forward", func(t *testing.T) {
		t.Parallel()
		b := half(t)
		_ = b.host.Remove(UnitDirectory + "/.seatrial-worker.service.stage")
		b.expect(b.do(Commit{}), StatusSystemd, "its stage is gone")
		b.expect(b.do(Rollback{"test"}), StatusSystemd, "the commit that was begun cannot be finished")
		b.expectState("COMMITTING")
		b.host.StopUnit("seatrial-guard-tok.service")
		b.host.Advance(2 * time.Minute)
		b.tx.Token = "next"
		b.tx.Facts = b.facts()
		b.expect(b.do(Lock{}), StatusSystemd, "the commit that was begun cannot be finished")
		b.expectState("COMMITTING")
	})
}

// A release that was committed is being taken back, and whoever does it dies in the middle: the host itself goes on.
func TestHalfAnUndo(t *testing.T) {
	t.Parallel()
	old, fresh := unit(quietWorker, "# old"), unit(quietWorker, "# new")
	for name, die := range map[string]func(*bench){
		"script":     func(b *bench) { b.host.Disconnect(); b.host.Advance(2 * time.Minute) },
		"power lost": func(b *bench) { b.host.Reboot(); b.host.Advance(2 * time.Minute) },
		"next run": func(b *bench) {
			b.host.StopUnit("seatrial-guard-tok.service")
			b.host.Advance(2 * time.Minute)
			b.tx.Token = "next"
			b.tx.Facts = Facts{}
			b.do(Lock{}) // the facts are from before
			b.tx.Facts = b.facts()
			b.must(Lock{}, Release{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := pair(t, unit("old"), unit("new"), old, fresh)
			b.upTo("COMMITTED")
			b.host.Fill(workerPath)
			b.expect(b.do(Rollback{"test"}), StatusSystemd, "cannot put the old "+workerPath+" back")
			if b.read(webPath) != unit("old") || b.read(workerPath) != fresh {
				t.Fatal("it did not end in the middle")
			}
			b.host.Free(workerPath)
			die(b)
			b.runs(unit("old"))
			b.unitRuns("worker.service", workerPath, old)
		})
	}
}

// Whoever takes a committed release back dies before the record says so: it stays, and nothing lies about.
func TestUndoThatDidNotBegin(t *testing.T) {
	t.Parallel()
	old, fresh := unit(quietWorker, "# old"), unit(quietWorker, "# new")
	for name, die := range map[string]func(*bench){
		"script":     func(b *bench) { b.host.Disconnect() },
		"power lost": func(b *bench) { b.host.Reboot() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := pair(t, unit("old"), unit("new"), old, fresh)
			b.upTo("COMMITTED")
			b.host.Fill(stateDir + "record")
			b.expect(b.do(Rollback{"test"}), StatusRefused, "cannot write "+stateDir+"record")
			b.host.Free(stateDir + "record")
			die(b)
			b.host.Advance(2 * time.Minute)
			b.expectState("COMMITTED")
			b.runs(unit("new"))
			b.unitRuns("worker.service", workerPath, fresh)
		})
	}
}

// A file that somebody else has changed is left alone, and the rollback does not count as one.
func TestRollbackBesideSomebodyElse(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"us", "the guard"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.upTo("SETTLED")
			b.put(webPath, unit("by hand"))
			if who == "the guard" {
				b.host.Advance(2 * time.Minute)
				b.expectState("REVERTED")
			}
			b.expect(b.do(Rollback{"test"}), StatusUnhealthy, "")
			if said := b.says("unhealthy"); said != webPath+" was changed by somebody else, and is left as it is" {
				t.Errorf("the host says %q", said)
			}
			b.runs(unit("by hand"))
		})
	}
}

// The history does not fit: the release is installed all the same, and nothing that was kept is lost.
func TestCommitWithoutAHistory(t *testing.T) {
	t.Parallel()
	for _, full := range []string{"history", "releases/r1"} {
		t.Run(full, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, unit("old"), unit("new"))
			b.tx.Previous = "r1"
			b.upTo("SETTLED")
			b.host.Fill(stateDir + full)
			b.must(Commit{})
			b.runs(unit("new"))
			if said := b.says("changed"); !strings.Contains(said, "no room in") {
				t.Errorf("the host says %q", said)
			}
			if b.history() != "" {
				t.Errorf("history: %s", b.history())
			}
			if b.read(stateDir+"releases/r2/web.service") != unit("new") {
				t.Error("the release is not kept")
			}
		})
	}
}

// The old unit comes back, runs, and dies again and again: that is not healthy, whichever state it is caught in.
func TestRolledBackAndNotStaying(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("--crash-after=4s", "Restart=always", "RestartSec=10ms"), unit("new"))
	b.tx.Service.Window = 10 * time.Second
	b.upTo("TRIAL")
	b.must(Reload{}, Start{})
	b.expect(b.do(Rollback{"test"}), StatusUnhealthy, "")
	if said := b.says("unhealthy"); !strings.Contains(said, "web.service does not stay up") {
		t.Errorf("the host says %q", said)
	}
	b.expectState("REVERTED")
	b.nothingLeft()
}

// The old unit comes back and does not run: that is another status, and the record is closed.
func TestRolledBackAndNotHealthy(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("old"), unit("new"))
	b.tx.Service.Window = 10 * time.Second
	_ = b.host.Fail("rollback")
	b.upTo("STARTED")
	b.expect(b.do(Settle{}), StatusUnit, "web.service")
	if code := b.do(Rollback{"test"}); code != StatusUnhealthy || !strings.Contains(b.says("unhealthy"), "web.service does not run") {
		t.Errorf("status %d: %v", code, b.said)
	}
	b.expectState("REVERTED")
	if b.read(webPath) != unit("old") {
		t.Error("the old unit is not installed")
	}
	b.nothingLeft()
	if code := b.do(Rollback{"again"}); code != StatusUnhealthy {
		t.Errorf("asked again: status %d", code)
	}
}

// A unit that the distribution brings is covered by ours, and uncovered again.
func TestOverTheDistributionsUnit(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", unit("new"))
	const vendor = "/lib/systemd/system/web.service"
	b.install(vendor, unit("vendor"))
	b.upTo("COMMITTED")
	b.runs(unit("new"))
	b.must(Rollback{"test"})
	b.unitRuns("web.service", vendor, unit("vendor"))
	if b.host.Exists(webPath) {
		t.Error("ours is still there")
	}
	b.nothingLeft()
}

// What is deployed over a crash loop does not inherit its restart counter.
func TestOverACrashLoop(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("--crash-after=8s", "Restart=always", "RestartSec=1"), unit("new"))
	b.host.Advance(60 * time.Second)
	if b.host.Unit("web.service").NRestarts == 0 {
		t.Fatal("the old unit was not restarted")
	}
	b.upTo("COMMITTED")
	b.runs(unit("new"))
}

// Arming the guard renews the lease: preparing many hosts may have taken most of it.
func TestGuardRenews(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("old"), unit("new"))
	b.upTo("LOCKED")
	b.host.Advance(55 * time.Second)
	b.must(Guard{})
	b.host.Advance(30 * time.Second)
	b.must(UnitCopy{}, Trial{}, Reload{}, Start{}, Settle{}, Verify{}, Commit{})
	b.runs(unit("new"))
}

// A restart holds the lease, restarts and gives the lease back; there are no files in it.
func TestRestart(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("old"), unit("old"))
	before := b.host.Unit("web.service").InvocationID
	b.tx.Facts = b.facts()
	b.must(Lock{}, Start{}, Settle{}, Verify{}, Release{})
	b.expectState("RELEASED")
	b.runs(unit("old"))
	if b.host.Unit("web.service").InvocationID == before {
		t.Error("it was not restarted")
	}
	if b.history() != "" {
		t.Errorf("history: %s", b.history())
	}
	b.must(Release{})
}

func TestJournal(t *testing.T) {
	t.Parallel()
	b := newBench(t, unit("old"), unit("--crash-after=1s"))
	b.upTo("STARTED")
	b.do(Settle{})
	_, id, _ := strings.Cut(b.says("invocation"), " ")
	for _, invocations := range []map[string]string{nil, {"web.service": id}} {
		if code := b.ask(JournalRequest(b.tx, 50, invocations)); code != 0 || strings.Count(b.says("journal"), " ready\n") != 1 ||
			!strings.Contains(b.says("journal"), "fatal: giving up") || !strings.HasPrefix(b.says("journal"), "web.service\n") {
			t.Errorf("status %d, journal %q", code, b.says("journal"))
		}
	}
	b.ask(JournalRequest(b.tx, 1, nil))
	if strings.Count(b.says("journal"), "\n") > 2 {
		t.Errorf("one line was asked for: %q", b.says("journal"))
	}
	b.ask(LogsRequest(b.tx, 100, "", true))
	said := strings.Split(b.says("logs"), "\n")
	var last struct {
		Cursor string `json:"__CURSOR"`
	}
	if err := json.Unmarshal([]byte(said[len(said)-1]), &last); err != nil || strings.Count(b.says("logs"), `"MESSAGE":"ready"`) != 2 {
		t.Fatalf("logs %v %q", err, said)
	}
	b.ask(LogsRequest(b.tx, 100, last.Cursor, true))
	if b.says("logs") != "" {
		t.Errorf("after the cursor: %q", b.says("logs"))
	}
}
