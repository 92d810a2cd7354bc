//go:build unix

package plans

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the file for as long as it is open; false: another process has it.
func lockFile(f *os.File) bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }
