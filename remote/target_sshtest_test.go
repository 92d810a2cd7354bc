package remote

import (
	"testing"

	"github.com/seatrial/seatrial/remote/sshtest"
)

// startEmbedded is an embedded host, whose login goes through its sudo.
func startEmbedded(t *testing.T, opts targetOptions) *target {
	t.Helper()
	if opts.hang {
		t.Skip("an embedded host has no login shell that hangs")
	}
	host, err := sshtest.New("web-1", sshtest.Options{Noise: opts.noise, Nologin: opts.nologin})
	must(t, err)
	t.Cleanup(func() { must(t, host.Close()) })
	return &target{
		addr: host.Addr(), user: "deploy", keyFile: writeFile(t, "id", host.ClientKeyPEM()), hostKey: host.HostKey(),
		stop: func() { _ = host.Close() },
	}
}

func TestNoSudo(t *testing.T) {
	host, err := sshtest.New("web-1", sshtest.Options{NoSudo: true})
	must(t, err)
	defer func() { must(t, host.Close()) }()
	to := &target{addr: host.Addr(), user: "deploy", keyFile: writeFile(t, "id", host.ClientKeyPEM()), hostKey: host.HostKey()}
	_, err = to.connect(t).Helper(t.Context(), testProgram, nil)
	wantError(t, err, ErrNoSudo, "password is required", "NOPASSWD")
}
