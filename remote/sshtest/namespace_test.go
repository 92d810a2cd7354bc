package sshtest

import (
	"strings"
	"sync"
	"testing"
)

// What is below a mount of a namespace is seen by nobody else, not even by another that mounts at the same place.
func TestMountNamespaces(t *testing.T) {
	h := start(t, Options{User: "root"})
	put(t, h, "/dev/shm/before", "everybody's")
	const script = `unshare --mount --propagation private /bin/sh -c '
mount -t tmpfs -o size=16m tmpfs /dev/shm || exit
printf %s "$1" >/dev/shm/mine.service; sleep 2; ls /dev/shm; cat /dev/shm/mine.service; systemd-analyze --man=no verify /dev/shm/*; [ -e /dev/shm/before ] || echo apart' sh `
	var all sync.WaitGroup
	for _, text := range []string{"first", "second"} {
		all.Go(func() {
			got := run(t, h, script+text)
			if got.out != "mine.service\n"+text+"apart\n" || !strings.Contains(got.err, "/dev/shm/mine.service:1: ") {
				t.Errorf("%s sees\n%s%s", text, got.out, got.err)
			}
		})
	}
	all.Wait()
	if got := run(t, h, "ls -A /dev/shm; ls -A /"); !strings.HasPrefix(got.out, "before\n") || strings.Contains(got.out, "mount") {
		t.Errorf("left behind:\n%s", got.out)
	}
}
