package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Require skips the test when this machine cannot run a lab with hosts of
// these suites, and says how it could. With SEATRIAL_LAB=required the test
// fails instead; with SEATRIAL_LAB=off it is always skipped.
func Require(t testing.TB, suites ...string) {
	t.Helper()
	mode := os.Getenv("SEATRIAL_LAB")
	missing := missing(suites)
	switch {
	case mode == "off":
		t.Skip("lab: SEATRIAL_LAB=off")
	case len(missing) == 0:
	case mode == "required":
		t.Fatalf("lab: SEATRIAL_LAB=required, but %s", strings.Join(missing, "; "))
	default:
		t.Skipf("lab: NOT RUN on real hosts: %s\n  hint: as root on Linux: apt-get install systemd-container debootstrap iproute2, then run the tests again; SEATRIAL_LAB=required makes this a failure",
			strings.Join(missing, "; "))
	}
}

// missing lists what keeps this machine from running a lab.
func missing(suites []string) []string {
	if runtime.GOOS != "linux" {
		return []string{"the lab needs Linux, this is " + runtime.GOOS}
	}
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "the lab needs root")
	}
	for _, tool := range []string{"systemd-nspawn", "debootstrap", "ip", "nsenter", "mount", "umount", "chroot"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool+" is not installed")
		}
	}
	for _, suite := range suites {
		script := filepath.Join("/usr/share/debootstrap/scripts", suite)
		if _, err := os.Stat(script); err != nil {
			missing = append(missing, fmt.Sprintf("debootstrap does not know %s", suite))
		}
	}
	return missing
}

// Full says that all is to be tested, however long it takes:
// SEATRIAL_MATRIX=full, or full and which faults.
func Full() bool { return strings.HasPrefix(os.Getenv("SEATRIAL_MATRIX"), "full") }
