package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"github.com/seatrial/seatrial/remote/sshtest"
)

// fleet are the embedded hosts of one script.
type fleet struct {
	hosts     []*sshtest.Host
	key       ssh.PublicKey
	snapshots map[string]snapshot
	traps     []*trap
}

// hostCommands are what scripts do to hosts and look at on them, from outside:
//
//	setup [OPTION...] [HOST...]     starts hosts (web-1 web-2 web-3) with old.service running as app.service, and puts their
//	                                addresses into *.toml for ADDRESS(HOST). Options: first (no service there yet), nologin,
//	                                nosudo, silent, noise=TEXT, systemd=N, user=NAME, unknown (not in known_hosts),
//	                                changed (another key in known_hosts)
//	trap NAME                       an address that must never be connected to; trap-quiet asserts that
//	put HOST PATH FILE [MODE]       write, also `put-dir HOST PATH`, `put-link HOST PATH TO`, `del HOST PATH`
//	host HOST VERB [ARG]            start UNIT, stop UNIT, kill UNIT, mask UNIT, fail STEP, heal STEP, fill PREFIX, hold ADDRESS,
//	                                reload, reboot, advance DURATION, nouser NAME, down
//	[!] file HOST PATH [FILE]       is there, byte for byte
//	host-says HOST PATH REGEXP      a line of the file matches
//	attributes HOST PATH MODE OWNER GROUP
//	unit HOST UNIT STATE [FILE]     e.g. active/running, and what it was started from
//	ran HOST FILE                   the person's own commands that were run, as JSON; `! ran HOST`: none
//	remember HOST...                takes a picture; same HOST...: everything is as it was; restored HOST...: as it was but for
//	                                /var/lib/seatrial, and units may have been restarted
//	clean HOST...                   nothing of a transaction is left: no trial, stage, lease or guard
//	sane HOST...                    clean, and the service's old unit runs
func hostCommands() map[string]scriptCommand {
	return map[string]scriptCommand{
		"setup": func(ts *testscript.TestScript, _ bool, args []string) { storyOf(ts).setup(ts, args) },
		"trap":  func(ts *testscript.TestScript, _ bool, args []string) { storyOf(ts).trap(ts, args[0]) },
		"trap-quiet": func(ts *testscript.TestScript, _ bool, _ []string) {
			for _, t := range storyOf(ts).traps {
				if n := t.calls.Load(); n != 0 {
					ts.Fatalf("%s was connected to %d times", t.name, n)
				}
			}
		},
		"put": onHost(2, func(ts *testscript.TestScript, h *sshtest.Host, args []string) {
			mode := uint64(0o644)
			if len(args) > 2 {
				var err error
				mode, err = strconv.ParseUint(args[2], 8, 32)
				ts.Check(err)
			}
			ts.Check(h.WriteFile(args[0], []byte(ts.ReadFile(args[1])), os.FileMode(mode), "root", "root"))
		}),
		"put-dir": onHost(1, func(ts *testscript.TestScript, h *sshtest.Host, args []string) {
			ts.Check(h.Mkdir(args[0], 0o755, "root", "root"))
		}),
		"put-link": onHost(2, func(ts *testscript.TestScript, h *sshtest.Host, args []string) {
			_ = h.Remove(args[0])
			ts.Check(h.Symlink(args[1], args[0]))
		}),
		"del":  onHost(1, func(ts *testscript.TestScript, h *sshtest.Host, args []string) { ts.Check(h.Remove(args[0])) }),
		"host": onHost(1, act),
		"file": wantFile,
		"attributes": onHost(4, func(ts *testscript.TestScript, h *sshtest.Host, args []string) {
			mode, owner, group, err := h.Stat(args[0])
			ts.Check(err)
			if got := []string{fmt.Sprintf("%o", mode.Perm()), owner, group}; !slices.Equal(got, args[1:]) {
				ts.Fatalf("%s on %s: %v, want %v", args[0], h.Name(), got, args[1:])
			}
		}),
		"host-says": onHost(2, func(ts *testscript.TestScript, h *sshtest.Host, args []string) {
			text, err := h.ReadFile(args[0])
			ts.Check(err)
			if !regexp.MustCompile("(?m)" + args[1]).Match(text) {
				ts.Fatalf("%s on %s does not say %s:\n%s", args[0], h.Name(), args[1], text)
			}
		}),
		"unit":     onHost(2, wantUnit),
		"ran":      wantCommands,
		"remember": eachHost(func(ts *testscript.TestScript, h *sshtest.Host) { storyOf(ts).snapshots[h.Name()] = picture(h) }),
		"same": eachHost(func(ts *testscript.TestScript, h *sshtest.Host) {
			wantSame(ts, h.Name(), storyOf(ts).snapshots[h.Name()], picture(h))
		}),
		"restored": eachHost(func(ts *testscript.TestScript, h *sshtest.Host) {
			wantSame(ts, h.Name(), storyOf(ts).snapshots[h.Name()].restorable(), picture(h).restorable())
			wantClean(ts, h)
		}),
		"clean": eachHost(wantClean),
		"sane": eachHost(func(ts *testscript.TestScript, h *sshtest.Host) {
			wantClean(ts, h)
			wantUnit(ts, h, []string{"app.service", "active/running", "old.service"})
			old, err := h.ReadFile("/etc/systemd/system/app.service")
			ts.Check(err)
			if string(old) != ts.ReadFile("old.service") {
				ts.Fatalf("%s: app.service is not the old one:\n%s", h.Name(), old)
			}
		}),
	}
}

func (f *fleet) host(ts *testscript.TestScript, name string) *sshtest.Host {
	for _, h := range f.hosts {
		if h.Name() == name {
			return h
		}
	}
	ts.Fatalf("no host %s was started", name)
	return nil
}

func (f *fleet) close() {
	for _, h := range f.hosts {
		_ = h.Close()
	}
	for _, t := range f.traps {
		_ = t.listener.Close()
		<-t.done
	}
}

// onHost is a command about one host with at least so many arguments.
func onHost(least int, do func(*testscript.TestScript, *sshtest.Host, []string)) scriptCommand {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) <= least {
			ts.Fatalf("wants a host and %d arguments, and no !", least)
		}
		do(ts, storyOf(ts).host(ts, args[0]), args[1:])
	}
}

func eachHost(do func(*testscript.TestScript, *sshtest.Host)) scriptCommand {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("wants hosts, and no !")
		}
		for _, name := range args {
			do(ts, storyOf(ts).host(ts, name))
		}
	}
}

// --- starting hosts ---------------------------------------------------------------------------------

func (s *story) writeKey() error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "script")
	if err != nil {
		return err
	}
	if s.key, err = ssh.NewPublicKey(public); err != nil {
		return err
	}
	s.snapshots = map[string]snapshot{}
	if err := os.WriteFile(filepath.Join(s.work, "known_hosts"), nil, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.work, "key"), pem.EncodeToMemory(block), 0o600)
}

// kind is what `setup` was told of the hosts it starts.
type kind struct {
	options          sshtest.Options
	first            bool
	unknown, changed bool
}

func (s *story) setup(ts *testscript.TestScript, args []string) {
	k, names := s.kind(ts, args)
	for _, name := range names {
		h, err := sshtest.New(name, k.options)
		ts.Check(err)
		s.hosts = append(s.hosts, h)
		ts.Check(s.vouch(h, k))
		s.address(ts, name, h.Addr())
		ts.Check(h.WriteFile("/srv/app/bin/app", []byte("program"), 0o755, "root", "root"))
		ts.Check(h.WriteFile("/srv/app/settings", []byte("settings"), 0o644, "root", "root"))
		if k.first {
			continue
		}
		ts.Check(h.WriteFile("/etc/systemd/system/app.service", []byte(ts.ReadFile("old.service")), 0o644, "root", "root"))
		h.DaemonReload()
		ts.Check(h.EnableUnit("app.service"))
		ts.Check(h.StartUnit("app.service"))
	}
}

func (s *story) kind(ts *testscript.TestScript, args []string) (kind, []string) {
	k := kind{options: sshtest.Options{AuthorizedKey: s.key}}
	var names []string
	for _, a := range args {
		option, value, _ := strings.Cut(a, "=")
		switch option {
		case "first":
			k.first = true
		case "unknown":
			k.unknown = true
		case "changed":
			k.changed = true
		case "nologin":
			k.options.Nologin = true
		case "nosudo":
			k.options.NoSudo = true
		case "silent":
			k.options.Silent = true
		case "noise":
			k.options.Noise = strings.ReplaceAll(value, `\n`, "\n")
		case "user":
			k.options.User = value
		case "systemd":
			n, err := strconv.Atoi(value)
			ts.Check(err)
			k.options.Systemd = n
		case "http":
			status, err := strconv.Atoi(value)
			ts.Check(err)
			k.options.HTTP = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		default:
			names = append(names, a)
		}
	}
	if len(names) == 0 {
		names = []string{"web-1", "web-2", "web-3"}
	}
	return k, names
}

// vouch writes the host's key to known_hosts, or does not.
func (s *story) vouch(h *sshtest.Host, k kind) error {
	line := h.KnownHostsLine()
	switch {
	case k.unknown:
		return nil
	case k.changed:
		line = strings.Join(strings.Fields(line)[:1], "") + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.key)))
	}
	f, err := os.OpenFile(filepath.Join(s.work, "known_hosts"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(f, line); err != nil {
		return err
	}
	return f.Close()
}

// address replaces ADDRESS(name) in the script's inventories.
func (s *story) address(ts *testscript.TestScript, name, address string) {
	files, err := filepath.Glob(filepath.Join(s.work, "*.toml"))
	ts.Check(err)
	for _, file := range files {
		text := strings.ReplaceAll(ts.ReadFile(file), "ADDRESS("+name+")", address)
		ts.Check(os.WriteFile(file, []byte(text), 0o600))
	}
}

var absentHost = regexp.MustCompile(`ADDRESS\(([a-z0-9-]+)\)`)

// absent gives hosts that were never started a name that does not exist.
func (s *story) absent(ts *testscript.TestScript) {
	files, err := filepath.Glob(filepath.Join(s.work, "*.toml"))
	ts.Check(err)
	for _, file := range files {
		ts.Check(os.WriteFile(file, absentHost.ReplaceAll([]byte(ts.ReadFile(file)), []byte("$1.invalid")), 0o600))
	}
}

// trap listens where nobody may knock.
type trap struct {
	name     string
	listener net.Listener
	calls    atomic.Int32
	done     chan struct{}
}

func (s *story) trap(ts *testscript.TestScript, name string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	t := &trap{name: name, listener: listener, done: make(chan struct{})}
	s.traps = append(s.traps, t)
	s.address(ts, name, listener.Addr().String())
	go func() {
		defer close(t.done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			t.calls.Add(1)
			_ = c.Close()
		}
	}()
}

// --- changing hosts ---------------------------------------------------------------------------------

func act(ts *testscript.TestScript, h *sshtest.Host, args []string) {
	arg := ""
	if len(args) > 1 {
		arg = args[1]
	}
	switch args[0] {
	case "start":
		ts.Check(h.StartUnit(arg))
	case "stop":
		h.StopUnit(arg)
	case "kill":
		h.KillUnit(arg, "KILL")
	case "mask":
		ts.Check(h.MaskUnit(arg))
	case "fail":
		ts.Check(h.Fail(arg))
	case "heal":
		h.Heal(arg)
	case "fill":
		h.Fill(arg)
	case "hold":
		_, err := h.Hold(arg)
		ts.Check(err)
	case "reload":
		h.DaemonReload()
	case "reboot":
		h.Reboot()
	case "nouser":
		h.NoUser(arg)
	case "down":
		ts.Check(h.Close())
	case "advance":
		d, err := time.ParseDuration(arg)
		ts.Check(err)
		h.Advance(d)
	default:
		ts.Fatalf("hosts cannot %s", args[0])
	}
}

// --- looking at hosts -------------------------------------------------------------------------------

func wantFile(ts *testscript.TestScript, neg bool, args []string) {
	h := storyOf(ts).host(ts, args[0])
	switch {
	case neg && h.Exists(args[1]):
		ts.Fatalf("%s has %s", h.Name(), args[1])
	case !neg && !h.Exists(args[1]):
		ts.Fatalf("%s lacks %s", h.Name(), args[1])
	case !neg && len(args) > 2:
		got, err := h.ReadFile(args[1])
		ts.Check(err)
		if want := ts.ReadFile(args[2]); string(got) != want {
			ts.Fatalf("%s on %s is not %s:\n%s", args[1], h.Name(), args[2], got)
		}
	}
}

func wantUnit(ts *testscript.TestScript, h *sshtest.Host, args []string) {
	u := h.Unit(args[0])
	if got := u.Active + "/" + u.Sub; got != args[1] {
		ts.Fatalf("%s on %s is %s, want %s", args[0], h.Name(), got, args[1])
	}
	if len(args) > 2 && u.Running != ts.ReadFile(args[2]) {
		ts.Fatalf("%s on %s does not run %s but:\n%s", args[0], h.Name(), args[2], u.Running)
	}
}

func wantCommands(ts *testscript.TestScript, neg bool, args []string) {
	h := storyOf(ts).host(ts, args[0])
	var b strings.Builder
	for _, c := range h.Commands() {
		line, err := json.Marshal(struct {
			Args      []string
			User, Dir string
		}{c.Args, c.User, c.Dir})
		ts.Check(err)
		b.Write(append(line, '\n'))
	}
	switch {
	case neg && b.Len() > 0:
		ts.Fatalf("%s ran\n%s", h.Name(), &b)
	case !neg && b.String() != ts.ReadFile(args[1]):
		ts.Fatalf("%s ran\n%s", h.Name(), &b)
	}
}

// wantClean: nothing of a transaction is left.
func wantClean(ts *testscript.TestScript, h *sshtest.Host) {
	h.Advance(3 * time.Second) // the guard sees that it is over
	for _, prefix := range []string{"/run/systemd/system.control/", "/etc/systemd/system/.", "/etc/systemd/system.control/",
		"/run/seatrial/", "/etc/logrotate.d/seatrial-"} {
		if left := h.List(prefix); len(left) > 0 {
			ts.Fatalf("%s: left behind: %s", h.Name(), strings.Join(left, " "))
		}
	}
	for _, path := range h.List("/") {
		if strings.HasSuffix(path, ".tmp") || strings.HasSuffix(path, ".seatrial") {
			ts.Fatalf("%s: left behind: %s", h.Name(), path)
		}
	}
	for _, unit := range h.Units() {
		if strings.HasPrefix(unit, "seatrial-") && h.Unit(unit).Active != "inactive" {
			ts.Fatalf("%s: %s is %s", h.Name(), unit, h.Unit(unit).Active)
		}
	}
}

// snapshot is a host's files and units, one line each by name.
type snapshot map[string]string

func picture(h *sshtest.Host) snapshot {
	s := snapshot{}
	for _, path := range h.List("/") {
		mode, owner, group, err := h.Stat(path)
		content, _ := h.ReadFile(path)
		s[path] = fmt.Sprintf("%s %s:%s %v\n%s", mode, owner, group, err, content)
	}
	for _, name := range h.Units() {
		u := h.Unit(name)
		s["unit "+name] = fmt.Sprintf("%s/%s from %s %s\n%s", u.Active, u.Sub, u.FragmentPath, u.FileState, u.Running)
		s["invocation of "+name] = u.InvocationID
	}
	for i, c := range h.Commands() {
		s[fmt.Sprintf("command %d", i)] = fmt.Sprint(c)
	}
	return s
}

// restorable is what a rollback brings back: all but the memory of it.
func (s snapshot) restorable() snapshot {
	kept := snapshot{}
	for k, v := range s {
		if !strings.HasPrefix(k, "/var/lib/seatrial/") && !strings.HasPrefix(k, "invocation ") && !strings.HasPrefix(k, "command ") &&
			!strings.HasPrefix(k, "/run/seatrial/") && !strings.HasPrefix(k, "unit seatrial-") {
			kept[k] = v
		}
	}
	return kept
}

func wantSame(ts *testscript.TestScript, host string, before, after snapshot) {
	if before == nil {
		ts.Fatalf("nothing is remembered of %s", host)
	}
	var names []string
	for name := range before {
		names = append(names, name)
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if before[name] != after[name] {
			ts.Fatalf("%s: %s changed\nfrom %q\nto   %q", host, name, before[name], after[name])
		}
	}
}
