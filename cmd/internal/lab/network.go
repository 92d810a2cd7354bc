package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// network is a bridge in the controller's namespace. It has no route out, so
// every lab can use the same addresses, those set aside for benchmarks.
type network struct{ namespace string }

const hostInterface = "eth0"

func (n network) create(ctx context.Context) error {
	return ipBatch(ctx, n.namespace,
		"link set lo up",
		"link add br0 type bridge",
		"addr add 198.18.0.1/15 dev br0",
		"link set br0 up")
}

// address of the host at that place in the spec.
func (n network) address(index int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, byte(1 + index/200), byte(10 + index%200)})
}

func (n network) port(index int) string { return "host" + strconv.Itoa(index) }

// attach makes a namespace for a host and joins it to the bridge.
func (n network) attach(ctx context.Context, index int, namespace string) error {
	port := n.port(index)
	return errors.Join(
		ipBatch(ctx, namespace,
			"link set lo up",
			fmt.Sprintf("link add %s type veth peer name %s netns %s", hostInterface, port, n.namespace),
			fmt.Sprintf("addr add %s/15 dev %s", n.address(index), hostInterface),
			"link set "+hostInterface+" up"),
		command("ip", "-n", n.namespace, "link", "set", port, "master", "br0", "up"))
}

// setPort plugs a host in ("up") or out ("down").
func (n network) setPort(index int, state string) error {
	return command("ip", "-n", n.namespace, "link", "set", n.port(index), state)
}

func ipBatch(ctx context.Context, namespace string, lines ...string) error {
	if err := command("ip", "netns", "add", namespace); err != nil {
		return err
	}
	cmd := commandContext(ctx, "ip", "-n", namespace, "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	_, err := output(cmd)
	return err
}

// DialContext opens a connection from the controller's place in the lab's
// network, for code in this process. The address is an IP and a port: names
// would be asked of the machine's own resolver.
func (l *Lab) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dialing in lab %s: %w", l.run.id, err)
	}
	var conn net.Conn
	err := inNamespace(namespacePath(l.net.namespace), func() (err error) {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// removeNamespaces removes the namespaces of a run and the processes in them,
// such as a controller that a test left running.
func removeNamespaces(name string) error {
	paths, err := filepath.Glob(namespacePath(name) + "*")
	if err != nil {
		return err
	}
	for _, path := range paths {
		namespace := filepath.Base(path)
		pids, listErr := output(commandContext(background(), "ip", "netns", "pids", namespace))
		err = errors.Join(err, listErr, killAll(strings.Fields(pids)), command("ip", "netns", "delete", namespace))
	}
	return err
}

// killAll spares this process: one of its threads may be dialing in there.
func killAll(pids []string) error {
	var errs error
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err == nil && pid > 1 && pid != os.Getpid() {
			err = kill(pid)
		}
		errs = errors.Join(errs, err)
	}
	return errs
}

func namespacePath(name string) string { return filepath.Join("/run/netns", name) }
