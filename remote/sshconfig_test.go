package remote

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withConfig is a Dialer whose person has this ~/.ssh/config.
func withConfig(t testing.TB, config string) *Dialer {
	t.Helper()
	d := dialer(t)
	must(t, os.MkdirAll(filepath.Join(d.Home, ".ssh"), 0o700))
	must(t, os.WriteFile(filepath.Join(d.Home, ".ssh", "config"), []byte(config), 0o600))
	return d
}

// readers runs a test with the ssh program and with the library that stands in for it.
func readers(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err == nil {
		t.Run("ssh -G", test)
	}
	t.Run("library", func(t *testing.T) {
		t.Setenv("PATH", "/nonexistent")
		test(t)
	})
}

func TestConfigFillsWhatTheInventoryLeavesOpen(t *testing.T) {
	const config = `
Host alias
    HostName real.test
    Port 2222
    User alice
    IdentityFile ~/.ssh/one
    IdentityFile ~/.ssh/%r-%h
    IdentitiesOnly yes
    IdentityAgent /run/agent
    UserKnownHostsFile ~/.ssh/hosts
    GlobalKnownHostsFile none
    HostKeyAlias Kept
    ConnectTimeout 7
Host keyless
    IdentityAgent none
Host *
    User everybody
`
	readers(t, func(t *testing.T) {
		d := withConfig(t, config)
		d.AgentSocket = "/run/mine"
		ssh := filepath.Join(d.Home, ".ssh")
		for _, test := range []struct {
			name string
			host Host
			want endpoint
		}{
			{"all from the config", Host{Name: "web-1", Address: "alias", UseSSHConfig: true}, endpoint{
				name: "web-1", host: "real.test", port: "2222", user: "alice", keyName: "kept:22", knownHosts: []string{ssh + "/hosts"},
				identities: []identity{{ssh + "/one", false}, {ssh + "/alice-real.test", false}}, identitiesOnly: true,
				agentSocket: "/run/agent", timeout: 7 * time.Second,
			}},
			{"the inventory's values win", Host{
				Name: "web-1", Address: "alias:22", User: "bob", IdentityFiles: []string{"/id"}, KnownHosts: []string{"/known"},
				HostKey: "SHA256:pin=", ConnectTimeout: time.Second, UseSSHConfig: true,
			}, endpoint{
				name: "web-1", host: "real.test", port: "22", user: "bob", keyName: "kept:22", pin: "SHA256:pin", knownHosts: []string{"/known"},
				identities: []identity{{"/id", true}}, identitiesOnly: true, agentSocket: "/run/agent", timeout: time.Second,
			}},
			{"no agent", Host{Address: "keyless", IdentityFiles: []string{"/id"}, KnownHosts: []string{"/known"}, UseSSHConfig: true}, endpoint{
				host: "keyless", port: "22", user: "everybody", keyName: "keyless:22", knownHosts: []string{"/known"},
				identities: []identity{{"/id", true}}, timeout: defaultConnectTimeout,
			}},
			{"not asked", Host{Address: "Alias", User: "bob", IdentityFiles: []string{"/id"}}, endpoint{
				host: "Alias", port: "22", user: "bob", keyName: "alias:22", knownHosts: []string{ssh + "/known_hosts", "/etc/ssh/ssh_known_hosts"},
				identities: []identity{{"/id", true}}, agentSocket: "/run/mine", timeout: defaultConnectTimeout,
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				route, err := d.route(t.Context(), test.host)
				must(t, err)
				if diff := cmp.Diff([]*endpoint{&test.want}, route, cmp.AllowUnexported(endpoint{}, identity{})); diff != "" {
					t.Error(diff)
				}
			})
		}
	})
}

func TestConfigThatCannotBeFollowed(t *testing.T) {
	readers(t, func(t *testing.T) {
		for config, say := range map[string]string{
			"Host web\n ProxyCommand nc %h %p\n":                            "ProxyCommand is not supported",
			"Host web\n ProxyJump web\n":                                    "",
			"Host web\n ProxyJump a\nHost a\n ProxyJump web\n":              "circle",
			"Host web\n Hostname -oProxyCommand=id\n":                       "",
			"Host web\n ProxyJump -oProxyCommand=id\n":                      "",
			"Host web\n ProxyJump jump.test\nHost jump.test\n Port 99999\n": "",
		} {
			d := withConfig(t, config)
			d.NetDial = func(context.Context, string, string) (net.Conn, error) {
				t.Errorf("%q: a connection was tried", config)
				return nil, net.ErrClosed
			}
			host := plainHost(t, "web")
			host.UseSSHConfig = true
			_, err := d.Dial(t.Context(), host)
			wantError(t, err, ErrConfig, say)
		}
	})
}

func TestConfigTheLibraryCannotRead(t *testing.T) {
	t.Setenv("PATH", "/nonexistent")
	d := withConfig(t, "Match exec true\n User x\n")
	host := plainHost(t, "web")
	host.UseSSHConfig = true
	_, err := d.Dial(t.Context(), host)
	wantError(t, err, ErrConfig, ".ssh/config", "install an ssh program")
}

// counting counts connections to one address.
func counting(d *Dialer, addr string) *atomic.Int64 {
	count := new(atomic.Int64)
	d.NetDial = func(ctx context.Context, network, to string) (net.Conn, error) {
		if to == addr {
			count.Add(1)
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	return count
}

// bastionConfig leads to host by way of another host, or of several.
func bastionConfig(host string, jumps ...*target) string {
	var b strings.Builder
	var names []string
	for i, jump := range jumps {
		ip, port, _ := net.SplitHostPort(jump.addr)
		fmt.Fprintf(&b, "Host jump%d\n HostName %s\n Port %s\n User %s\n IdentityFile %s\n", i, ip, port, jump.user, jump.keyFile)
		names = append(names, fmt.Sprintf("jump%d", i))
	}
	fmt.Fprintf(&b, "Host web\n HostName %s\n ProxyJump %s\n", host, strings.Join(names, ","))
	return b.String()
}

func TestThroughBastions(t *testing.T) {
	host, one, two := startOpenSSH(t, targetOptions{}), startOpenSSH(t, targetOptions{}), startOpenSSH(t, targetOptions{})
	readers(t, func(t *testing.T) {
		noLeaks(t)
		ip, port, _ := net.SplitHostPort(host.addr)
		d := withConfig(t, bastionConfig(ip, one, two))
		bastions := counting(d, one.addr)
		entry := host.host(t)
		entry.Address, entry.UseSSHConfig = "web:"+port, true
		entry.KnownHosts = []string{host.known(t), one.known(t), two.known(t)}
		var conns [3]*Conn
		var dials sync.WaitGroup
		for i := range conns {
			dials.Go(func() {
				conn, err := d.Dial(t.Context(), entry)
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = conn
			})
		}
		dials.Wait()
		if t.Failed() {
			return
		}
		if got := bastions.Load(); got != 1 {
			t.Errorf("%d connections to the bastion", got)
		}
		for _, conn := range conns {
			h, err := conn.Helper(t.Context(), testProgram, nil)
			must(t, err)
			if _, err := h.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil); err != nil {
				t.Error(err)
			}
			must(t, conn.Close())
		}
		if len(d.bastions) != 0 {
			t.Error("a bastion is kept")
		}
	})
}

func TestBastionIsCheckedAsStrictly(t *testing.T) {
	noLeaks(t)
	host, jump := startOpenSSH(t, targetOptions{}), startOpenSSH(t, targetOptions{})
	ip, port, _ := net.SplitHostPort(host.addr)
	entry := host.host(t)
	entry.Address, entry.UseSSHConfig = "web:"+port, true
	_, err := withConfig(t, bastionConfig(ip, jump)).Dial(t.Context(), entry)
	wantError(t, err, ErrUnknownHostKey, "to the bastion jump0")

	entry.KnownHosts = []string{jump.known(t)}
	_, err = withConfig(t, bastionConfig(ip, jump)).Dial(t.Context(), entry)
	wantError(t, err, ErrUnknownHostKey)
	if strings.Contains(err.Error(), "bastion") {
		t.Error("the bastion was not at fault:", err)
	}
}

func TestBastionThatDies(t *testing.T) {
	noLeaks(t)
	host, jump := startOpenSSH(t, targetOptions{}), startOpenSSH(t, targetOptions{})
	proxy, through := proxied(t, jump, 0)
	ip, port, _ := net.SplitHostPort(host.addr)
	d := withConfig(t, bastionConfig(ip, through))
	entry := host.host(t)
	entry.Address, entry.UseSSHConfig = "web:"+port, true
	entry.KnownHosts = []string{host.known(t), through.known(t)}
	for range 2 {
		conn, err := d.Dial(t.Context(), entry)
		must(t, err)
		h, err := conn.Helper(t.Context(), testProgram, nil)
		must(t, err)
		proxy.Cut()
		_, err = h.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil)
		wantError(t, err, ErrLost)
		must(t, conn.Close())
	}
}

func TestConnectFromTheHostsSide(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		noLeaks(t)
		conn := host.connect(t)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		addr := listener.Addr().String()
		must(t, listener.Close())
		_, err = conn.DialContext(t.Context(), "tcp", addr)
		if err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "refused") {
			t.Error(err)
		}
	})
	for allowed, want := range map[string]error{"yes": nil, "no": ErrNoForwarding} {
		host := startSSHD(t, sshdOptions{config: "AllowTcpForwarding " + allowed})
		greeter := listen(t, func(conn net.Conn) { _, _ = conn.Write([]byte("hello")); _ = conn.Close() })
		conn, err := host.connect(t).DialContext(t.Context(), "tcp", greeter.Addr().String())
		if want != nil {
			wantError(t, err, want, "AllowTcpForwarding")
			continue
		}
		must(t, err)
		said := make([]byte, 5)
		if n, err := conn.Read(said); string(said[:n]) != "hello" {
			t.Error(n, err)
		}
		must(t, conn.Close())
	}
}

func TestTooFewSessions(t *testing.T) {
	host := startSSHD(t, sshdOptions{config: "MaxSessions 1"})
	conn := host.connect(t)
	one, err := conn.Helper(t.Context(), testProgram, nil)
	must(t, err)
	_, err = conn.Helper(t.Context(), testProgram, nil)
	wantError(t, err, ErrNoShell, "MaxSessions")
	if _, err := one.Do(t.Context(), []Request{{"a", "plain", []string{"x"}}}, nil); err != nil {
		t.Error("the first helper suffered from it:", err)
	}
}

// TestRoute: where a connection would go is said without making one.
func TestRoute(t *testing.T) {
	readers(t, func(t *testing.T) {
		d := withConfig(t, "Host alias\n    HostName real.test\n    Port 2222\n    ProxyJump jumper@gate.test:222\nHost *\n    User everybody\n")
		got, err := d.Route(t.Context(), Host{Name: "web", Address: "alias", UseSSHConfig: true})
		if diff := cmp.Diff([]string{"jumper@gate.test:222", "everybody@real.test:2222"}, got); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if got, err := d.Route(t.Context(), Host{Name: "web", Address: "-o"}); err == nil {
			t.Errorf("an address that is none leads to %v", got)
		}
	})
}
