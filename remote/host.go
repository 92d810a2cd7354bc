package remote

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"time"
)

// defaultConnectTimeout holds when neither the inventory nor ~/.ssh/config says how long a connection may take.
const defaultConnectTimeout = 10 * time.Second

// Host is what the inventory says about how to reach a host. Empty fields are filled from the ssh configuration when
// UseSSHConfig is set, and with OpenSSH's defaults otherwise.
type Host struct {
	Name           string        // the name in the inventory, for errors
	Address        string        // host, host:port, [v6]:port, or an alias of ~/.ssh/config
	User           string        // the account to log in to; root, or one that may use sudo without a password
	IdentityFiles  []string      // private keys to offer, before those of the agent; each must be there and usable
	KnownHosts     []string      // known_hosts files; they replace those of the ssh configuration
	HostKey        string        // "SHA256:...": the only host key to accept, whatever known_hosts says
	ConnectTimeout time.Duration // for connecting and logging in, and again for the helper to get ready
	UseSSHConfig   bool          // let the person's ssh configuration fill what is empty here
}

// endpoint is a host after every question about it has been answered.
type endpoint struct {
	name           string
	host, port     string
	user           string
	keyName        string // host:port as known_hosts files call it
	pin            string
	knownHosts     []string
	identities     []identity
	identitiesOnly bool
	agentSocket    string
	timeout        time.Duration
	show           *HostKey // set: only the host key is asked for, and put here
}

// identity is a private key file; one that the inventory names must be usable.
type identity struct {
	path     string
	required bool
}

func (e *endpoint) address() string { return net.JoinHostPort(e.host, e.port) }

func (e *endpoint) key() string { return e.user + "@" + e.address() }

func (e *endpoint) fail(op string, sentinel error, detail, hint string) *Error {
	return &Error{Host: e.name, Op: op, Err: sentinel, Detail: detail, Hint: hint}
}

var (
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9_:][A-Za-z0-9._:%-]*$`)
	userPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@\\+-]*\$?$`)
)

// splitAddress takes host, host:port, [v6]:port or a bare v6 address apart. What ssh could take for an option is refused.
func splitAddress(address string) (host, port string, err error) {
	host = address
	if _, bare := netip.ParseAddr(address); bare != nil {
		if h, p, err := net.SplitHostPort(address); err == nil {
			host, port = h, p
		}
	}
	if !hostPattern.MatchString(host) {
		return "", "", fmt.Errorf("address %q is not a host name, host:port or an alias of ~/.ssh/config", address)
	}
	if port != "" && !validPort(port) {
		return "", "", fmt.Errorf("address %q: port is not between 1 and 65535", address)
	}
	return host, port, nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
