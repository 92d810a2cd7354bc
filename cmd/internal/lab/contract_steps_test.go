package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/steps"
)

// stepScenarios are about the product's own scripts: what they say and do is the same on every host.
func stepScenarios() []scenario {
	return []scenario{
		{name: "facts of a fresh host", do: factsOfFreshHost},
		{name: "a release that is good", slow: true, do: goodRelease},
		{name: "a release that dies", slow: true, do: badRelease("--crash-after=4", "Restart=always", "RestartSec=5")},
		{name: "a release that is never ready", slow: true, do: badRelease("--never-ready", "Type=notify")},
		{name: "a release that ends", slow: true, do: badRelease("--exit=0 --slow-start=2")},
		{name: "a release that systemd refuses", slow: true, do: badRelease("", "ExecStart=/bin/true")},
		{name: "a release with a warning", slow: true, do: badRelease("--exit=3", "Bogus=yes")},
		{name: "a controller that dies", slow: true, do: deadController},
		{name: "two runs at once", slow: true, do: twoRuns},
		{name: "a lock that stays taken", slow: true, do: lockStaysTaken},
		{name: "who listens", slow: true, do: whoListens},
	}
}

// run is a run of the product's steps on a host, through one helper.
type stepRun struct {
	w      *witness
	helper *remote.Helper
	end    func()
	tx     steps.Transaction
	told   strings.Builder
}

// releaseOf is a transaction of the scenario's unit; each has a token of its own.
func (w *witness) releaseOf(token, words string, more ...string) steps.Transaction {
	unit := w.unit + ".service"
	path := steps.UnitDirectory + "/" + unit
	text := "[Unit]\nDescription=contract\n[Service]\nExecStart=/usr/local/bin/app " + words + "\n" + strings.Join(more, "\n") +
		"\n[Install]\nWantedBy=multi-user.target\n"
	sum := sha256.Sum256([]byte(text))
	return steps.Transaction{
		Service: steps.Service{
			Name: w.unit, StartTimeout: 6 * time.Second, Window: 6 * time.Second,
			Files: []steps.File{{Path: path, Content: []byte(text), Digest: hex.EncodeToString(sum[:])}},
			Runs:  []steps.Run{{Unit: unit, File: path}},
		},
		Token: w.unit + "-" + token, Owner: "contract", Since: "today", Release: "release-" + token, Lease: 2 * time.Minute,
	}
}

// begin connects and asks for the facts of the host.
func (w *witness) begin(ctx context.Context, tx steps.Transaction) (*stepRun, error) {
	r := &stepRun{w: w, tx: tx}
	var err error
	if r.helper, r.end, err = w.connect(ctx, steps.Program()); err != nil {
		return nil, err
	}
	if r.tx.Facts, err = r.facts(ctx); err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

func (r *stepRun) facts(ctx context.Context) (steps.Facts, error) {
	var text string
	results, err := r.helper.Do(ctx, []remote.Request{steps.FactsRequest(r.tx.Service)}, func(reply remote.Reply) {
		if reply.Key == "facts" {
			text = reply.Text
		}
	})
	if err == nil && results[0].Code != 0 {
		err = fmt.Errorf("facts ended with %d", results[0].Code)
	}
	if err != nil {
		return steps.Facts{}, err
	}
	return steps.ParseFacts(text)
}

// do runs steps until one fails, and says whether none did.
func (r *stepRun) do(ctx context.Context, all ...steps.Step) (bool, error) {
	for _, s := range all {
		results, err := r.helper.Do(ctx, s.Requests(r.tx), func(reply remote.Reply) {
			// how often a script looks, and whether it sees a state that passes, is the host's speed
			line := fmt.Sprintf("%s: %s %s\n", s.Name(), reply.Key, reply.Text)
			if reply.Key != remote.EndKey && reply.Key != "progress" && !strings.HasSuffix(r.told.String(), line) {
				r.told.WriteString(line)
			}
		})
		if err != nil {
			return false, err
		}
		for _, result := range results {
			if result.Code != 0 {
				fmt.Fprintf(&r.told, "%s: status %d\n", s.Name(), result.Code)
				return false, nil
			}
		}
		fmt.Fprintf(&r.told, "%s: done\n", s.Name())
	}
	return true, nil
}

var (
	trialSteps = []steps.Step{steps.Lock{}, steps.Guard{}, steps.UnitCopy{}, steps.Trial{}, steps.Reload{}, steps.Start{}, steps.Settle{}}
	spans      = regexp.MustCompile(`\b\d+ (s|times)\b`)
	pids       = regexp.MustCompile(`\bpid \d+`)
)

// report is what the run told, without times and pids, and what is on the host now.
func (r *stepRun) report(ctx context.Context) (string, error) {
	after, err := r.w.sh(ctx, `state; where; p UnitFileState; [ "$MainPID" = 0 ] || words; ls $etc $trial 2>/dev/null | grep "$n"
		gone() { [ "$(p LoadState seatrial-guard-`+r.tx.Token+`.service)" = not-found ]; }; await gone && echo "no guard"
		grep ^state= /var/lib/seatrial/$n/record; ls /run/seatrial/$n 2>&1; ls /var/lib/seatrial/$n/releases; cut -d' ' -f1,2,7 /var/lib/seatrial/$n/history`)
	return pids.ReplaceAllString(spans.ReplaceAllString(r.told.String()+after, "N $1"), "pid N"), err
}

func goodRelease(ctx context.Context, w *witness) (string, error) {
	r, err := w.begin(ctx, w.releaseOf("one", "first --slow-start=2 --listen=127.0.0.1:7103", "Type=notify"))
	if err != nil {
		return "", err
	}
	defer r.end()
	r.tx.Service.Verify = steps.Verification{Listen: []string{"127.0.0.1:7103", ":7103"}, Timeout: 5 * time.Second}
	if _, err := r.do(ctx, append(slices.Clone(trialSteps), steps.Verify{}, steps.Commit{})...); err != nil {
		return r.told.String(), err
	}
	return r.report(ctx)
}

// badRelease follows a good one that has been installed by hand.
func badRelease(words string, more ...string) func(context.Context, *witness) (string, error) {
	return func(ctx context.Context, w *witness) (string, error) {
		if out, err := w.sh(ctx, "service $etc/$u old; reload; systemctl --no-reload enable $u 2>/dev/null; systemctl start $u 2>/dev/null"); err != nil || out != "" {
			return out, err
		}
		r, err := w.begin(ctx, w.releaseOf("bad", words, more...))
		if err != nil {
			return "", err
		}
		defer r.end()
		r.tx.Previous = "by-hand"
		if _, err := r.do(ctx, trialSteps...); err != nil {
			return r.told.String(), err
		}
		if _, err := r.do(ctx, steps.Rollback{Reason: "the contract"}); err != nil {
			return r.told.String(), err
		}
		return r.report(ctx)
	}
}

// deadController leaves in the middle of a trial: the guard brings the old unit back.
func deadController(ctx context.Context, w *witness) (string, error) {
	if out, err := w.sh(ctx, "service $etc/$u old; reload; systemctl --no-reload enable $u 2>/dev/null; systemctl start $u 2>/dev/null"); err != nil || out != "" {
		return out, err
	}
	tx := w.releaseOf("dead", "new")
	tx.Previous, tx.Lease = "by-hand", 20*time.Second
	r, err := w.begin(ctx, tx)
	if err != nil {
		return "", err
	}
	if _, err := r.do(ctx, trialSteps[:len(trialSteps)-1]...); err != nil {
		r.end()
		return r.told.String(), err
	}
	r.end()
	for range 60 {
		w.pass(2 * time.Second)
		said, err := w.sh(ctx, "grep ^state=REVERTED /var/lib/seatrial/$n/record")
		if err != nil {
			return r.told.String(), err
		}
		if said != "" {
			return r.report(ctx)
		}
	}
	return r.told.String(), errors.New("the guard did nothing")
}

func twoRuns(ctx context.Context, w *witness) (string, error) {
	one, err := w.begin(ctx, w.releaseOf("one", "x"))
	if err != nil {
		return "", err
	}
	defer one.end()
	two, err := w.begin(ctx, w.releaseOf("two", "y"))
	if err != nil {
		return "", err
	}
	defer two.end()
	_, errOne := one.do(ctx, steps.Lock{})
	_, errTwo := two.do(ctx, steps.Lock{})
	_, errFenced := two.do(ctx, steps.UnitCopy{})
	_, errRelease := one.do(ctx, steps.Release{})
	_, errAgain := two.do(ctx, steps.Lock{}, steps.Release{})
	if err := errors.Join(errOne, errTwo, errFenced, errRelease, errAgain); err != nil {
		return one.told.String() + two.told.String(), err
	}
	after, err := two.report(ctx)
	return one.told.String() + after, err
}

// lockStaysTaken is flock giving up after 30 s; reading works nevertheless.
func lockStaysTaken(ctx context.Context, w *witness) (string, error) {
	out, err := w.sh(ctx, `mkdir -p /var/lib/seatrial/$n; systemd-run --quiet --collect --unit=$n-holder /usr/bin/flock /var/lib/seatrial/$n/lock /bin/sleep 300
		held() { ! flock -n /var/lib/seatrial/$n/lock true; }; await held`)
	if err != nil || out != "" {
		return out, err
	}
	r, err := w.begin(ctx, w.releaseOf("one", "x"))
	if err != nil {
		return "", err
	}
	defer r.end()
	if _, err := r.do(ctx, steps.Lock{}); err != nil {
		return r.told.String(), err
	}
	if _, err := w.sh(ctx, "systemctl stop $n-holder"); err != nil {
		return r.told.String(), err
	}
	_, err = r.do(ctx, steps.Lock{}, steps.Release{})
	return spans.ReplaceAllString(r.told.String(), "N $1"), err
}

// whoListens is verify on its own, as `check` runs it.
func whoListens(ctx context.Context, w *witness) (string, error) {
	out, err := w.sh(ctx, `service $etc/$u '--listen=127.0.0.1:7104 --listen=0.0.0.0:7105 --listen=[::]:7106'; service $etc/$n-other.service --listen=127.0.0.1:7107
		reload; systemctl start $u $n-other 2>/dev/null; grew() { [ "$(cat /proc/net/tcp /proc/net/tcp6 | grep -c ':1BC[0123] 0* *.* 0A ')" = 4 ]; }; await grew`)
	if err != nil || out != "" {
		return out, err
	}
	r, err := w.begin(ctx, w.releaseOf("one", "x"))
	if err != nil {
		return "", err
	}
	defer r.end()
	for _, address := range []string{"127.0.0.1:7104", ":7104", "0.0.0.0:7104", "127.0.0.1:7105", ":7105", "127.0.0.1:7106", ":7106", "127.0.0.2:7104", "127.0.0.1:7107", ":7108"} {
		r.tx.Service.Verify = steps.Verification{Listen: []string{address}, Timeout: 2 * time.Second}
		fmt.Fprintf(&r.told, "%s?\n", address)
		if _, err := r.do(ctx, steps.Verify{Anytime: true}); err != nil {
			return r.told.String(), err
		}
	}
	return pids.ReplaceAllString(spans.ReplaceAllString(r.told.String(), "N $1"), "pid N"), nil
}

// factsOfFreshHost are those that must be the same on any host of the version.
func factsOfFreshHost(ctx context.Context, w *witness) (string, error) {
	tx := w.releaseOf("one", "x")
	tx.Service.Log = &steps.Directory{Path: "/var/log", Owner: "root", Group: "root", Mode: "0755"}
	r, err := w.begin(ctx, tx)
	if err != nil {
		return "", err
	}
	defer r.end()
	f := r.tx.Facts
	var out strings.Builder
	fmt.Fprintf(&out, "systemd %d analyze %v missing %q users %q groups %q\n", f.Systemd, f.Analyze, f.Missing, f.NoUser, f.NoGroup)
	fmt.Fprintf(&out, "boot %d machine %d uptime %v time %v\n", len(f.BootID), len(f.Machine), f.Uptime > 0, f.Time > 1e9)
	fmt.Fprintf(&out, "record %+v files %d releases %d\n", f.Record, len(f.Files), len(f.Releases))
	for _, path := range slices.Sorted(maps.Keys(f.Dir)) {
		fmt.Fprintf(&out, "%s %s %s %s %s\n", path, f.Dir[path].Kind, f.Dir[path].Mode, f.Dir[path].Owner, f.Dir[path].Group)
	}
	for _, s := range f.Disk {
		fmt.Fprintf(&out, "disk %v inodes %v\n", s.KiB > 0, s.Inodes > 0)
	}
	for _, unit := range slices.Sorted(maps.Keys(f.Units)) {
		for _, key := range slices.Sorted(maps.Keys(f.Units[unit])) {
			fmt.Fprintf(&out, "%s %s=%s\n", unit, key, f.Units[unit][key])
		}
	}
	return out.String(), nil
}
