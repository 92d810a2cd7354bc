package sshtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// guardScript is the pattern of the product's guard: it counts its rounds and acts when the deadline has passed.
const guardScript = `while :; do
	read -r up _ </proc/uptime
	read -r deadline </run/seatrial/web/deadline
	if [ "${up%%.*}" -ge "$deadline" ]; then
		flock -E 75 -w 60 /run/lock/web /bin/sh -c 'echo "$1" >/run/acted; sleep 2; systemctl restart web' x "${up%%.*}" && exit 0
		echo "busy $?" >>/run/busy
	fi
	echo >>/run/rounds
	sleep 1
done`

const arm = `systemd-run --quiet --collect --unit=guard -p Restart=on-failure -p RestartSec=1 /bin/sh /run/guard.sh && systemctl -q is-active -- guard.service`

// armed is a host with a guard whose deadline is 60 s away.
func armed(t *testing.T) *Host {
	t.Helper()
	h := start(t, Options{})
	put(t, h, unitPath, service())
	put(t, h, "/run/guard.sh", guardScript)
	put(t, h, "/run/seatrial/web/deadline", fmt.Sprintf("%d\n", int(h.Uptime().Seconds())+60))
	if got := run(t, h, arm); got.status != 0 {
		t.Fatalf("arming: %+v", got)
	}
	return h
}

func rounds(h *Host) int {
	data, _ := h.ReadFile("/run/rounds")
	return len(data)
}

func TestGuardWakesWithAdvance(t *testing.T) {
	h := armed(t)
	before := rounds(h)
	h.Advance(10 * time.Second)
	if got := rounds(h) - before; got != 10 {
		t.Errorf("10 s gave %d rounds", got)
	}
	h.Advance(49 * time.Second)
	if h.Exists("/run/acted") {
		t.Error("acted before the deadline")
	}
	h.Advance(5 * time.Second)
	if !h.Exists("/run/acted") {
		t.Error("did not act after the deadline")
	}
	if got := h.Unit("guard").Load; got != "not-found" {
		t.Errorf("the guard is still there: %s", got)
	}
	if got := h.Unit("web").Active; got != "active" {
		t.Errorf("web is %s", got)
	}
}

func TestSessionSleepMovesDeadlines(t *testing.T) {
	h := armed(t)
	before := rounds(h)
	expect(t, h, `for i in 1 2 3 4 5 6 7 8 9 10; do sleep 20; sleep 0.5; done; [ -e /run/acted ] || echo alive`, "alive\n")
	if got := rounds(h) - before; got < 200 {
		t.Errorf("200 s gave %d rounds", got)
	}
}

func TestGuardWaitsForTheLock(t *testing.T) {
	h := armed(t)
	client := connect(t, h, "root")
	h.Advance(50 * time.Second)
	put(t, h, "/run/seatrial/web/deadline", "1\n")
	got := runAs(t, client, `flock -E 75 -w 30 /run/lock/web /bin/sh -c 'sleep 30; [ -e /run/acted ] || echo waits'; sleep 5; [ -e /run/acted ] && echo acted`, "")
	if got.out != "waits\nacted\n" {
		t.Errorf("got %q", got.out)
	}
}

func TestSessionWaitsForTheGuard(t *testing.T) {
	h := armed(t)
	put(t, h, "/run/seatrial/web/deadline", "1\n")
	h.Advance(time.Second) // the guard holds the lock and sleeps
	expect(t, h, `flock -E 75 -w 1 /run/lock/web true; echo $?; flock -E 75 -w 30 /run/lock/web true; echo $?`, "75\n0\n")
}

func TestFlock(t *testing.T) {
	h := start(t, Options{})
	expect(t, h, `flock -n /tmp/l echo one; flock -E 75 -w 5 /tmp/l flock -E 76 -w 5 /tmp/l echo two; echo $?
flock /tmp/l /bin/sh -c 'exit 9'; echo $?; flock -E 75 -w 1 /tmp/l -c 'echo three'`, "one\n76\n9\nthree\n")
}

func TestFlockBetweenSessions(t *testing.T) {
	h := start(t, Options{})
	client := connect(t, h, "root")
	done := make(chan ran)
	for range 4 {
		go func() {
			s, err := client.NewSession()
			if err != nil {
				done <- ran{err: err.Error()}
				return
			}
			out, err := s.Output(`flock -w 60 /tmp/l /bin/sh -c 'n=$(cat /tmp/n 2>/dev/null); sleep 1; echo $((${n:-0} + 1)) >/tmp/n'`)
			done <- ran{out: string(out), err: fmt.Sprint(err)}
		}()
	}
	for range 4 {
		if got := <-done; got.err != "<nil>" {
			t.Error(got)
		}
	}
	if got, _ := h.ReadFile("/tmp/n"); string(got) != "4\n" {
		t.Errorf("counted to %q", got)
	}
}

func TestGuardIsRestarted(t *testing.T) {
	h := start(t, Options{})
	put(t, h, "/run/guard.sh", "echo >>/run/rounds\nsleep 3\nexit 1\n")
	if got := run(t, h, arm+"; "+arm); got.status != 1 || !strings.Contains(got.err, "already loaded") {
		t.Errorf("a name in use must be refused: %+v", got)
	}
	h.Advance(9 * time.Second)
	if got := rounds(h); got != 3 {
		t.Errorf("started %d times", got)
	}
	expect(t, h, `systemctl stop --no-block guard; systemctl is-active guard; sleep 60`, "inactive\n")
	if got := rounds(h); got != 3 {
		t.Errorf("after the stop: started %d times", got)
	}
}

func TestGuardDiesWithTheBoot(t *testing.T) {
	h := armed(t)
	h.Reboot()
	h.Advance(5 * time.Minute)
	if h.Exists("/run/acted") || h.Unit("guard").Load != "not-found" {
		t.Error("the guard survived a reboot")
	}
}

func TestGuardSurvivesDaemonReload(t *testing.T) {
	h := armed(t)
	before := rounds(h)
	run(t, h, `systemctl daemon-reload`)
	h.Advance(3 * time.Second)
	if got := rounds(h) - before; got != 3 {
		t.Errorf("%d rounds", got)
	}
}
