package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/remote/sshtest"
	"golang.org/x/sync/errgroup"
)

// The contract of systemd's behaviour: what the product relies on, and what embedded hosts play, seen through the
// product's own SSH connection. Each scenario has one expectation for all hosts, so whatever an embedded host of some
// version does, a real one of that version does, too.

// scenario is one thing that happens on a host. Scenarios share real hosts, so each has a unit name of its own.
type scenario struct {
	name   string
	script string                                          // what to do and to observe, after prelude
	do     func(context.Context, *witness) (string, error) // or this, for what a script cannot
	slow   bool                                            // waits in reality: runs beside the other slow ones; it must not mind a daemon-reload
}

// real says whether the scenario is played on a real host of that version: each slow one is played on one of them, and on
// all with SEATRIAL_MATRIX=full.
func (s scenario) real(index, version int) bool {
	return !s.slow || Full() || contractVersions[index%len(contractVersions)].version == version
}

// wanted is the expectation, of all versions of systemd or of this one. With SEATRIAL_UPDATE the embedded hosts
// write it; whether it is true the real ones tell.
func (s scenario) wanted(version int) (text, path string, err error) {
	path = filepath.Join("testdata", "contract", strings.ReplaceAll(strings.ReplaceAll(s.name, ",", ""), " ", "-"))
	own := fmt.Sprintf("%s.%d", path, version)
	for _, name := range []string{own, path} {
		if data, err := os.ReadFile(name); err == nil {
			return trimmed(string(data)), name, nil
		}
	}
	return "", path, fmt.Errorf("no expectation in %s", path)
}

// witness is a host under the contract, for one scenario.
type witness struct {
	host    remote.Host
	dialer  *remote.Dialer
	version int // of systemd
	unit    string
	pass    func(time.Duration) // time goes by with nobody connected
	reboot  func() error
}

//go:embed testdata/app
var contractApp string

// versions are the suites of real hosts, with their systemd; an embedded host of the same version stands beside each.
var contractVersions = []struct {
	suite   string
	version int
}{{"bookworm", 252}, {"bullseye", 247}, {"trixie", 257}}

// scenarios are all of them; the reboot is the last.
func scenarios() []scenario {
	return slices.Concat(fileScenarios(), lifeScenarios(), stepScenarios(), []scenario{rebootScenario()})
}

func TestContractEmbedded(t *testing.T) {
	for _, v := range contractVersions {
		t.Run(fmt.Sprint(v.version), func(t *testing.T) {
			for i, s := range scenarios() {
				t.Run(s.name, func(t *testing.T) {
					got, err := s.run(t.Context(), embedded(t, v.version, i))
					s.compare(t, v.version, got, err)
				})
			}
		})
	}
}

func TestContractReal(t *testing.T) {
	var spec Spec
	for _, v := range contractVersions {
		spec.Hosts = append(spec.Hosts, HostSpec{Name: v.suite, Suite: v.suite})
	}
	l := Start(t, spec)
	outcomes := make([][]outcome, len(l.Hosts))
	var hosts sync.WaitGroup
	for i, h := range l.Hosts {
		hosts.Go(func() { outcomes[i] = playAll(t.Context(), l, h, contractVersions[i].version) })
	}
	hosts.Wait()
	for i, v := range contractVersions {
		t.Run(v.suite, func(t *testing.T) {
			for j, s := range scenarios() {
				t.Run(s.name, func(t *testing.T) {
					if !s.real(j, v.version) {
						t.Skip("slow: played on another version; SEATRIAL_MATRIX=full plays it here, too")
					}
					t.Logf("took %v", outcomes[i][j].took)
					s.compare(t, v.version, outcomes[i][j].got, outcomes[i][j].err)
				})
			}
		})
	}
}

// slowScenarios is how many of them run at once on a real host: sshd turns away too many that log in together.
const slowScenarios = 8

type outcome struct {
	got  string
	err  error
	took time.Duration
}

// playAll runs all scenarios on one real host: the quick ones in turn, the slow ones beside each other, and last the
// one that reboots it. What waits in reality has a moment at which it looks, and a busy machine can miss it: a slow
// scenario that was not as expected is played once more, alone and with another unit.
func playAll(ctx context.Context, l *Lab, h *Host, version int) []outcome {
	all := scenarios()
	outcomes := make([]outcome, len(all))
	play := func(i, unit int) {
		begin := time.Now()
		got, err := all[i].run(ctx, real(l, h, version, unit))
		outcomes[i] = outcome{got, err, time.Since(begin).Round(time.Millisecond)}
	}
	if err := h.Put("/usr/local/bin/app", contractApp, 0o755); err != nil {
		return append(outcomes[:0], outcome{err: err})
	}
	var slow errgroup.Group
	slow.SetLimit(slowScenarios)
	for i, s := range all[:len(all)-1] {
		if !s.slow {
			play(i, i)
		}
	}
	for i, s := range all[:len(all)-1] {
		if s.slow && s.real(i, version) {
			slow.Go(func() error { play(i, i); return nil })
		}
	}
	_ = slow.Wait() // each has its own outcome
	for i, s := range all[:len(all)-1] {
		want, _, err := s.wanted(version)
		if s.slow && s.real(i, version) && err == nil && (outcomes[i].err != nil || trimmed(outcomes[i].got) != want) {
			play(i, len(all)+i)
		}
	}
	play(len(all)-1, len(all)-1)
	return outcomes
}

func embedded(t *testing.T, version, index int) *witness {
	t.Helper()
	h, err := sshtest.New("web-1", sshtest.Options{Systemd: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	key, known := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "known_hosts")
	err = errors.Join(os.WriteFile(key, h.ClientKeyPEM(), 0o600), os.WriteFile(known, []byte(h.KnownHostsLine()+"\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return &witness{
		host:    remote.Host{Name: "embedded", Address: h.Addr(), User: "deploy", IdentityFiles: []string{key}, KnownHosts: []string{known}},
		dialer:  &remote.Dialer{},
		version: version,
		unit:    unitOf(index),
		pass:    h.Advance,
		reboot:  func() error { h.Reboot(); return nil },
	}
}

func real(l *Lab, h *Host, version, index int) *witness {
	return &witness{
		host: remote.Host{Name: h.Name, Address: h.Addr, User: "deploy", IdentityFiles: []string{l.KeyFile},
			KnownHosts: []string{l.KnownHostsFile}, ConnectTimeout: time.Minute},
		dialer:  &remote.Dialer{NetDial: l.DialContext},
		version: version,
		unit:    unitOf(index),
		pass:    time.Sleep,
		reboot:  h.Reboot,
	}
}

func unitOf(index int) string { return fmt.Sprintf("contract%02d", index) }

func (s scenario) run(ctx context.Context, w *witness) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	var got string
	var err error
	if s.do != nil {
		got, err = s.do(ctx, w)
	} else {
		got, err = w.sh(ctx, s.script)
	}
	if s.slow { // played side by side: systemd 257 says so now and then while somebody else reloads; the quick ones hold it to it
		got = strings.ReplaceAll(changedOnDisk.ReplaceAllString(got, ""), "reload=yes", "reload=no")
	}
	return w.normal(got), err
}

func (s scenario) compare(t *testing.T, version int, got string, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	want, path, err := s.wanted(version)
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(trimmed(got), "\n")); diff != "" {
		t.Errorf("%s, -want +got:\n%s", path, diff)
	}
	if os.Getenv("SEATRIAL_UPDATE") != "" && strings.Contains(t.Name(), "Embedded") && want != trimmed(got) {
		s.update(t, version, path, trimmed(got)+"\n")
	}
}

// update writes the expectation of 252, and of others what differs from it.
func (s scenario) update(t *testing.T, version int, path, got string) {
	t.Helper()
	if version != 252 && !strings.HasSuffix(path, fmt.Sprintf(".%d", version)) {
		path = fmt.Sprintf("%s.%d", path, version)
	}
	if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
		t.Error(err)
	}
}

// trimmed takes off what a raw string has at its ends, and the indentation of its lines.
func trimmed(text string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

var (
	hexIDs        = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	quotedPaths   = regexp.MustCompile(`['"](/[^'"]*)['"]`)
	changedOnDisk = regexp.MustCompile(`Warning: The unit file, .* changed on disk\. .*\n?`)
	colours       = regexp.MustCompile("\x1b\\[[0-9;]*m")
)

// normal takes out what differs between any two runs, and how systemd decorates.
func (w *witness) normal(text string) string {
	text = colours.ReplaceAllString(strings.ReplaceAll(text, w.unit, "UNIT"), "")
	return hexIDs.ReplaceAllString(quotedPaths.ReplaceAllString(text, "$1"), "ID")
}

// connect opens a helper with a program of its own; close ends it and the connection.
func (w *witness) connect(ctx context.Context, program string) (h *remote.Helper, close func(), err error) {
	conn, err := w.dialer.Dial(ctx, w.host)
	if err != nil {
		return nil, nil, err
	}
	h, err = conn.Helper(ctx, program, nil)
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return h, func() { _ = errors.Join(h.Close(), conn.Close()) }, nil
}

// shell runs one script for each request, and replies with all that it printed.
const shell = `run() {
	shift
	u=$1.service n=$1
	say64 out "$(eval "$2" 2>&1 </dev/null)"
}
`

// sh runs a script as root.
func (w *witness) sh(ctx context.Context, script string) (string, error) {
	h, end, err := w.connect(ctx, shell)
	if err != nil {
		return "", err
	}
	defer end()
	var out strings.Builder
	_, err = h.Do(ctx, []remote.Request{{Step: "script", Verb: "script", Args: []string{w.unit, prelude + script}}},
		func(r remote.Reply) {
			if r.Key == "out" {
				out.WriteString(r.Text)
			}
		})
	return out.String(), err
}

// prelude are the words of the scenarios.
const prelude = `
etc=/etc/systemd/system run=/run/systemd/system trial=/run/systemd/system.control

# service FILE WORDS [MORE LINES]: a unit that runs the app
service() {
	mkdir -p "${1%/*}"
	printf '[Unit]\nDescription=contract\n[Service]\nExecStart=/usr/local/bin/app %s\n%b\n[Install]\nWantedBy=multi-user.target\n' "$2" "${3-}" >"$1"
}
reload() { systemctl daemon-reload; }
p() { systemctl show -p "$1" --value -- "${2-$u}"; }
# look: the unit's state at one moment
look() {
	while IFS='=' read -r key value; do eval "$key=\$value"; done <<END
$(systemctl show -p LoadState,ActiveState,SubState,Result,NRestarts,ExecMainCode,ExecMainStatus,MainPID,InvocationID,FragmentPath,NeedDaemonReload -- "$u")
END
}
state() { look; echo "$ActiveState/$SubState $Result"; }
# seen: the state that was looked at last, when the next may be near
seen() { echo "$ActiveState/$SubState $Result code $ExecMainCode status $ExecMainStatus restarts $NRestarts"; }
ended() { look; echo "code $ExecMainCode status $ExecMainStatus"; }
where() { look; echo "$LoadState $FragmentPath reload=$NeedDaemonReload"; }
# words: what the main process was started with, once it runs the app
words() { await started && echo "runs ${line##*/}"; }
started() { line=$(tr '\000' ' ' <"/proc/$(p MainPID)/cmdline"); case $line in */app\ *) ;; *) false ;; esac; }
# try COMMAND: its output and its status
try() { "$@"; echo "status $?"; }
# await COMMAND...: until it succeeds
await() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ "$tries" -lt 150 ] || { echo "waited in vain for $*"; return 1; }
		sleep 0.4
	done
}
is() { look; [ "$ActiveState/$SubState" = "$1" ]; }
`
