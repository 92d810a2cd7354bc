package sshtest

import (
	"context"
	"path"
	"slices"
	"time"
)

// The life of a unit: what jobs do to it, and what its program does by itself.

// jobDelay is how long a job waits before PID 1 comes to it: long enough that `systemctl --no-block restart` and a
// `show` right after it still see the old invocation and the job.
const jobDelay = 10 * time.Millisecond

// enqueue replaces the unit's job, as job mode `replace` does.
func (u *unit) enqueue(kind string) *job {
	if u.job != nil {
		u.m.h.clock.cancel(u.job.event)
		u.finish("canceled")
	}
	u.m.jobs++
	j := &job{id: 1000 + u.m.jobs, unit: u.name, kind: kind}
	u.job = j
	j.event = u.m.h.clock.after(jobDelay, func() { u.run(j) })
	return j
}

func (u *unit) finish(result string) {
	if u.job != nil {
		u.job.result, u.job.why = result, u.result
		u.job = nil
	}
	u.m.h.clock.notify()
}

func (u *unit) run(j *job) {
	switch j.kind {
	case "stop":
		u.stop()
		u.finish("done")
	case "restart":
		waiting := u.sub == "auto-restart"
		if u.active != "inactive" && u.active != "failed" {
			u.stop()
		}
		u.manualStart(waiting)
	default:
		if u.active == "active" || u.active == "activating" && u.sub != "auto-restart" {
			u.finish("done")
			return
		}
		u.manualStart(u.sub == "auto-restart")
	}
}

// manualStart resets the restart counter, but before 257 not in the middle of an automatic restart.
func (u *unit) manualStart(waiting bool) {
	if !waiting || u.m.h.options.Systemd >= 257 {
		u.restarts = 0
	}
	u.start()
}

// start begins a new invocation.
func (u *unit) start() {
	h := u.m.h
	u.forget()
	u.m.h.clock.notify()
	if !u.withinLimit() {
		if u.result == "success" {
			u.result = "start-limit-hit"
		}
		u.log("Start request repeated too quickly.")
		u.fail()
		return
	}
	u.invocation, u.result = h.id(), "success"
	u.code, u.status, u.entered = 0, 0, 0
	if path.Ext(u.name) != ".service" {
		u.startOther()
		return
	}
	b := u.behaviour()
	if kind := u.file.serviceType(); kind != "simple" && kind != "idle" {
		u.log("Starting " + u.description() + "...")
	}
	u.pid, u.words = h.pid(), u.file.command(u.name)
	if u.job == nil {
		u.m.jobs++
		u.job = &job{id: 1000 + u.m.jobs, unit: u.name, kind: "start"}
	}
	u.set("activating", "start")
	if u.isScript() {
		u.startWorker()
	}
	u.play(b)
}

// play schedules what the program will do.
func (u *unit) play(b behaviour) {
	kind := u.file.serviceType()
	if kind == "simple" || kind == "idle" || kind == "exec" && !b.gone {
		u.up()
	}
	switch {
	case u.isScript():
	case b.gone:
		u.later(time.Millisecond, func() { u.log(u.name + ": Failed to locate executable: No such file or directory"); u.exited(1, 203) })
		return
	case b.exit >= 0 && b.crash < 0:
		u.later(b.slow+time.Millisecond, func() { u.exited(1, b.exit) })
		return
	case kind == "oneshot":
		u.later(b.slow+time.Millisecond, func() { u.exited(1, 0) })
		return
	}
	if b.crash >= 0 {
		u.later(b.crash, func() { u.say("fatal: giving up"); u.exited(1, max(1, b.exit)) })
	}
	if b.never {
		u.awaitReady(kind)
		return
	}
	u.later(b.slow, func() { u.ready(b) })
	u.awaitReady(kind)
}

// awaitReady is TimeoutStartSec.
func (u *unit) awaitReady(kind string) {
	if kind != "notify" && kind != "dbus" && kind != "forking" {
		return
	}
	u.later(u.file.duration("Service.TimeoutStartSec", 90*time.Second), func() {
		if u.active == "activating" {
			u.log(u.name + ": start operation timed out. Terminating.")
			u.result = "timeout"
			u.exited(2, 15)
		}
	})
}

func (u *unit) ready(b behaviour) {
	u.say("ready")
	u.listen(b.listen)
	if u.active == "activating" {
		u.up()
	}
}

// up is the moment at which a start has succeeded.
func (u *unit) up() {
	u.set("active", "running")
	u.entered = u.m.h.clock.up
	u.log("Started " + u.description() + ".")
	u.finish("done")
}

func (u *unit) startOther() {
	subs := map[string]string{".socket": "listening", ".timer": "waiting", ".path": "waiting", ".target": "active"}
	u.set("active", subs[path.Ext(u.name)])
	u.entered = u.m.h.clock.up
	if path.Ext(u.name) == ".socket" {
		u.listen(u.file.values["Socket.ListenStream"])
	}
	u.log("Started " + u.description() + ".")
	u.finish("done")
}

// cleanSignals end a service in good order: HUP, INT, PIPE and TERM.
var cleanSignals = [...]int{1, 2, 13, 15}

// exited is the end of the main process: code 1 with a status, or 2 with a signal.
func (u *unit) exited(code, status int) {
	u.forget()
	u.code, u.status, u.pid = code, status, 0
	clean := code == 1 && status == 0 || code == 2 && slices.Contains(cleanSignals[:], status)
	failed := !clean || u.result != "success"
	switch {
	case u.result != "success" || clean: // a timeout, or nothing to say
	case code == 1 && status != 0:
		u.result = "exit-code"
	case code == 2:
		u.result = "signal"
	}
	if failed {
		u.log(u.name + ": Main process exited, " + exitWords(code, status))
		u.log(u.name + ": Failed with result '" + u.result + "'.")
	} else {
		u.log(u.name + ": Deactivated successfully.")
	}
	u.afterExit(failed)
}

func (u *unit) afterExit(failed bool) {
	oneshot := u.file.serviceType() == "oneshot"
	starting := u.active == "activating"
	switch {
	case u.restartWanted(failed):
		u.autoRestart()
	case failed:
		u.fail()
	case oneshot && u.file.last("Service.RemainAfterExit") == "yes":
		u.set("active", "exited")
		u.entered = u.m.h.clock.up
		u.finish("done")
	default:
		u.set("inactive", "dead")
		if oneshot || !starting {
			u.finish("done")
		} else {
			u.finish("failed")
		}
		u.collected()
	}
}

func (u *unit) restartWanted(failed bool) bool {
	switch u.file.last("Service.Restart") {
	case "always":
		return true
	case "on-failure":
		return failed
	case "on-success":
		return !failed
	case "on-abnormal":
		return u.code != 1 || u.result == "timeout"
	case "on-abort":
		return u.result == "signal"
	}
	return false
}

func (u *unit) autoRestart() {
	u.finish("failed")
	u.set("activating", "auto-restart")
	u.later(u.file.restartDelay(), func() {
		u.restarts++
		u.log(u.name + ": Scheduled restart job, restart counter is at " + itoa(u.restarts) + ".")
		u.start()
	})
}

// fail is the end of a unit that will not be restarted.
func (u *unit) fail() {
	u.set("failed", "failed")
	u.pid = 0
	u.finish("failed")
	if u.collect {
		u.active = "inactive"
		u.collected()
	}
}

// collected forgets a transient unit that has ended.
func (u *unit) collected() {
	if u.isTransient() {
		delete(u.m.transient, u.name)
		delete(u.m.units, u.name)
	}
}

// withinLimit counts a start against StartLimitBurst=.
func (u *unit) withinLimit() bool {
	burst, interval := u.file.startLimit()
	now := u.m.h.clock.up
	u.starts = slices.DeleteFunc(u.starts, func(at time.Duration) bool { return now-at >= interval })
	if interval > 0 && len(u.starts) >= burst {
		return false
	}
	u.starts = append(u.starts, now)
	return true
}

func (u *unit) stop() {
	if u.active == "inactive" {
		return
	}
	if u.active == "failed" {
		return
	}
	u.log("Stopping " + u.description() + "...")
	u.forget()
	u.pid = 0
	u.result = "success"
	u.set("inactive", "dead")
	u.log(u.name + ": Deactivated successfully.")
	u.log("Stopped " + u.description() + ".")
	u.collected()
}

// resetFailed is systemctl reset-failed.
func (u *unit) resetFailed() {
	u.restarts, u.starts, u.result = 0, nil, "success"
	if u.active == "failed" {
		u.set("inactive", "dead")
		u.collected()
	}
}

func (u *unit) set(active, sub string) { u.active, u.sub = active, sub }

// later schedules something that the program does, unless it ends before.
func (u *unit) later(d time.Duration, do func()) {
	var e *event
	e = u.m.h.clock.after(d, func() {
		u.events = slices.DeleteFunc(u.events, func(x *event) bool { return x == e })
		do()
	})
	u.events = append(u.events, e)
}

// forget ends the running program without a word.
func (u *unit) forget() {
	for _, e := range u.events {
		u.m.h.clock.cancel(e)
	}
	u.events = nil
	u.unlisten()
	if u.worker != nil {
		u.worker.cancel(errKilled)
		u.worker = nil
	}
}

func (u *unit) title() string {
	if text := u.file.last("Unit.Description"); text != "" {
		return text
	}
	return u.name
}

// description is the unit as PID 1 calls it in the journal.
func (u *unit) description() string {
	text := u.title()
	if text != u.name && u.m.h.options.Systemd >= 250 {
		return u.name + " - " + text
	}
	return text
}

// worker is the real program of a service that is no application: a script that the interpreter runs in the background.
type worker struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
}

// startWorker makes the process ready; it runs as soon as whoever moves the clock lets it.
func (u *unit) startWorker() {
	h := u.m.h
	ctx, cancel := context.WithCancelCause(u.m.ctx)
	w := &worker{cancel: cancel, done: make(chan struct{})}
	u.worker = w
	p := &process{host: h, pid: u.pid, user: "root", umask: 0o022, unit: u.name}
	p.top = p
	p.rest = &parking{wake: make(chan struct{}), asleep: make(chan struct{})}
	first := p.rest
	h.clock.parked = append(h.clock.parked, first)
	words := u.words
	if u.isTransient() {
		words = u.file.values["exec"]
	}
	u.m.background.Go(func() {
		defer close(w.done)
		var err error
		select {
		case <-first.wake:
			err = h.background(ctx, p, words)
		case <-ctx.Done():
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.clock.parked = slices.DeleteFunc(h.clock.parked, func(x *parking) bool { return x == first })
		if u.worker == w {
			u.worker = nil
			u.exited(1, statusOf(err))
		}
		cancel(nil)
		close(p.rest.asleep)
	})
}

// background runs the words of such a service.
func (h *Host) background(ctx context.Context, p *process, words []string) error {
	ctx = context.WithValue(ctx, processKey{}, p)
	c := &call{ctx: ctx, h: h, p: p, dir: "/", env: sorted(h.loginEnv("root")), stdout: device{}, stderr: device{}}
	null, err := pipeOf(nil)
	if err != nil {
		return err
	}
	defer null.Close()
	c.stdin = null
	return c.exec(words)
}
