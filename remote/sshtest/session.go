package sshtest

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"
	"mvdan.cc/sh/v3/interp"
)

// session runs one exec request in the user's login shell.
func (s *server) session(user string, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		if r.Type != "exec" {
			if r.WantReply {
				_ = r.Reply(r.Type == "env", nil)
			}
			continue
		}
		var exec struct{ Command string }
		if err := ssh.Unmarshal(r.Payload, &exec); err != nil {
			_ = r.Reply(false, nil)
			return
		}
		if r.WantReply {
			_ = r.Reply(true, nil)
		}
		s.wait.Go(func() { ssh.DiscardRequests(requests) })
		s.run(user, exec.Command, channel)
		return
	}
}

// run is the login shell. The exit status is not sent when the host goes down first: the outcome is unknown.
func (s *server) run(user, command string, channel ssh.Channel) {
	status, err := s.host.login(user, command, channel)
	if err != nil {
		return
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
}

func (h *Host) login(user, command string, channel ssh.Channel) (int, error) {
	if h.options.Nologin {
		_, _ = io.WriteString(channel, "This account is currently not available.\n")
		return 1, nil
	}
	_, _ = io.WriteString(channel, h.options.Noise)
	in, out, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	h.server.wait.Go(func() { feed(out, channel) }) // ends with the channel, or with the pipe

	ctx, cancel := h.session()
	defer cancel()
	p := h.newProcess(user)
	var out1, out2 sync.Mutex
	err = h.runShell(ctx, p, program{text: command, name: "sh", dir: h.home(user), env: h.loginEnv(user),
		stdin: in, stdout: locked{&out1, channel}, stderr: locked{&out2, channel.Stderr()}})
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return statusOf(err), nil
}

func feed(to *os.File, from io.Reader) {
	defer to.Close()
	_, _ = io.Copy(to, from)
}

// session is the context of what runs for one login: it ends with the host's boot, not with the connection.
func (h *Host) session() (context.Context, context.CancelFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return context.WithCancel(h.systemd.ctx)
}

func (h *Host) loginEnv(user string) []string {
	return []string{"HOME=" + h.home(user), "USER=" + user, "LOGNAME=" + user, "SHELL=/bin/bash",
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"}
}

func (h *Host) home(user string) string {
	switch user {
	case "root":
		return "/root"
	case "www-data":
		return "/var/www"
	}
	return "/home/" + user
}

// statusOf is the exit status of a program that ended with err.
func statusOf(err error) int {
	var status interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, errKilled):
		return 137
	}
	return 126
}

// locked lets the branches of a pipeline share one stream.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
