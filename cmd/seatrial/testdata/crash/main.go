// Command crash stands in front of a command of a host, in /usr/local/sbin, and lets seatrial's scripts die at a chosen
// command of theirs. It is installed under the names of the commands that write, and does the real one unless it was
// called by a script that works for a service with an order in /run/crash/SERVICE:
//
//	VERB N before|after shells|all|park
//
// At the Nth command of VERB, before or after doing it, it kills the shells of the verb, or those of the helper or the
// guard above them, too; or it waits for /run/crash/SERVICE.go. SERVICE.hit says that it happened, SERVICE.trace is the
// list of all commands so far.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const orders = "/run/crash/"

// A process is one of seatrial's above us.
type process struct {
	pid  int
	mark string // @run, @guard, @helper
	args []string
}

func main() {
	ours := above()
	if len(ours) == 0 {
		do()
	}
	verb, service := who(ours)
	order, err := os.ReadFile(orders + service)
	if service == "" || err != nil {
		do()
	}
	n := count(service, verb)
	fields := strings.Fields(string(order))
	if len(fields) != 4 || fields[0] != verb || fields[1] != strconv.Itoa(n) {
		do()
	}
	status := 0
	if fields[2] == "after" {
		status = wait()
	}
	_ = os.WriteFile(orders+service+".hit", fmt.Appendf(nil, "%s %s %s", order, filepath.Base(os.Args[0]), short(os.Args[1:])), 0o600)
	if fields[3] == "park" {
		park(service)
	} else {
		kill(ours, fields[3] == "all")
		return
	}
	if fields[2] == "before" {
		do()
	}
	os.Exit(status)
}

// above are the processes of seatrial above us, nearest first.
func above() []process {
	var ours []process
	for pid := os.Getppid(); pid > 1; pid = parent(pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			break
		}
		var args []string
		for _, word := range bytes.Split(text, []byte{0}) {
			args = append(args, string(word))
		}
		if at := slices.IndexFunc(args, marks); at >= 0 {
			ours = append(ours, process{pid, args[at], args[at+1:]})
		}
	}
	return ours
}

func marks(word string) bool { return word == "@run" || word == "@guard" || word == "@helper" }

func parent(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// who says which verb called us, for which service. What the helper does without a verb's own shell is told by what our
// arguments name.
func who(ours []process) (verb, service string) {
	near := ours[0]
	switch {
	case near.mark == "@run" && len(near.args) > 1:
		return near.args[0], near.args[1]
	case near.mark == "@guard" && len(near.args) > 0:
		return "guarding", near.args[0]
	}
	files, _ := os.ReadDir(orders)
	line := strings.Join(os.Args[1:], " ")
	for _, f := range files {
		if !strings.Contains(f.Name(), ".") && strings.Contains(line, f.Name()) {
			return "helper", f.Name()
		}
	}
	return "", ""
}

// count is which command of the verb this is, from 1.
func count(service, verb string) int {
	file, err := os.OpenFile(orders+service+".trace", os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return 0
	}
	defer file.Close()
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	text, _ := os.ReadFile(file.Name())
	n := 1 + strings.Count("\n"+string(text), "\n"+verb+" ")
	_, _ = fmt.Fprintf(file, "%s %d %s %s\n", verb, n, filepath.Base(os.Args[0]), short(os.Args[1:]))
	return n
}

func short(args []string) string {
	line := strings.Join(args, " ")
	return strings.ReplaceAll(line[:min(len(line), 160)], "\n", " ")
}

func kill(ours []process, all bool) {
	for i, p := range ours {
		if all || p.mark == "@run" || i == 0 {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
}

func park(service string) {
	for range 600 {
		if _, err := os.Stat(orders + service + ".go"); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// do becomes the real command.
func do() {
	err := syscall.Exec(behind(), os.Args, os.Environ())
	fmt.Fprintln(os.Stderr, "crash:", err)
	os.Exit(127)
}

// wait does the real command and returns its status.
func wait() int {
	cmd := exec.Command(behind(), os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		return exited.ExitCode()
	}
	return 0
}

func behind() string {
	name := filepath.Base(os.Args[0])
	for _, dir := range []string{"/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"} {
		if _, err := os.Stat(dir + name); err == nil {
			return dir + name
		}
	}
	return "/usr/bin/" + name
}
