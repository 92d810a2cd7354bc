package remote

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unackedLimit is how long sent bytes may stay unacknowledged before the kernel gives the connection up.
const unackedLimit = 20 * time.Second

// controlSocket sets TCP_USER_TIMEOUT; where the kernel refuses, keepalive alone has to do.
func controlSocket(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedLimit.Milliseconds()))
	})
}
