package remote

import (
	"context"
	"fmt"
	"strings"
)

// hopLimit ends ProxyJump settings that lead in a circle.
const hopLimit = 8

// route answers every question about how to get to a host: the bastions on the way, and last the host itself.
func (d *Dialer) route(ctx context.Context, host Host) ([]*endpoint, error) {
	end := &endpoint{
		name: host.Name, user: host.User, pin: strings.TrimRight(host.HostKey, "="),
		knownHosts: host.KnownHosts, timeout: host.ConnectTimeout,
	}
	for _, file := range host.IdentityFiles {
		end.identities = append(end.identities, identity{path: file, required: true})
	}
	jumps, err := d.resolve(ctx, end, host.Address, host.UseSSHConfig)
	if err != nil {
		return nil, err
	}
	bastions, err := d.hops(ctx, host, jumps, 0)
	if err != nil {
		return nil, throughBastion(host.Name, err)
	}
	return append(bastions, end), nil
}

// Route says where a connection would go, without making one: each bastion on the way, and last the host, as USER@HOST:PORT.
func (d *Dialer) Route(ctx context.Context, host Host) ([]string, error) {
	d.init()
	route, err := d.route(ctx, host)
	var all []string
	for _, end := range route {
		all = append(all, end.key())
	}
	return all, err
}

// resolve completes an endpoint from its address and the ssh configuration. It gives the ProxyJump setting.
func (d *Dialer) resolve(ctx context.Context, end *endpoint, address string, useConfig bool) (jumps string, err error) {
	name, port, err := splitAddress(address)
	if err == nil && end.user != "" && !userPattern.MatchString(end.user) {
		err = fmt.Errorf("user %q is not a user name", end.user)
	}
	if err != nil {
		return "", end.fail("resolve", ErrConfig, err.Error(), "")
	}
	end.host, end.port = name, port
	found := make(settings)
	if useConfig {
		if found, err = d.lookup(ctx, name, end.user, port); err != nil {
			return "", d.configError(ctx, end, err)
		}
	}
	d.fill(end, found)
	if command := found.isSet("proxycommand"); command != "" {
		return "", end.fail("resolve", ErrConfig, "ProxyCommand is not supported: "+printable(command, 100),
			"use ProxyJump in ~/.ssh/config, or set use_ssh_config = false and a direct address")
	}
	if !hostPattern.MatchString(end.host) || !validPort(end.port) || !userPattern.MatchString(end.user) {
		return "", end.fail("resolve", ErrConfig, fmt.Sprintf("~/.ssh/config leads to %q", end.key()), "")
	}
	return found.isSet("proxyjump"), nil
}

func (d *Dialer) configError(ctx context.Context, end *endpoint, err error) error {
	if ctx.Err() != nil {
		return &Error{Host: end.name, Op: "resolve", Err: ctx.Err()}
	}
	return end.fail("resolve", ErrConfig, err.Error(), "correct ~/.ssh/config, install an ssh program that reads it, or set use_ssh_config = false")
}

// hops resolves a ProxyJump list. A bastion is logged in to as the ssh configuration says, with the inventory's known_hosts
// files, and its key is checked as strictly as any. Only the first hop's own ProxyJump counts, as with ssh.
func (d *Dialer) hops(ctx context.Context, host Host, jumps string, depth int) ([]*endpoint, error) {
	if jumps == "" {
		return nil, nil
	}
	if depth >= hopLimit {
		return nil, &Error{Op: "resolve", Err: ErrConfig, Detail: "ProxyJump leads in a circle: " + jumps}
	}
	var route []*endpoint
	for i, jump := range strings.Split(jumps, ",") {
		login, address := splitJump(jump)
		end := &endpoint{name: jump, user: login, knownHosts: host.KnownHosts, timeout: host.ConnectTimeout}
		before, err := d.resolve(ctx, end, address, host.UseSSHConfig)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if route, err = d.hops(ctx, host, before, depth+1); err != nil {
				return nil, err
			}
		}
		for _, file := range host.IdentityFiles {
			end.identities = append(end.identities, identity{path: file})
		}
		route = append(route, end)
	}
	return route, nil
}

// splitJump takes [ssh://][user@]host[:port] apart.
func splitJump(jump string) (login, address string) {
	jump = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(jump), "ssh://"), "/")
	if at := strings.LastIndex(jump, "@"); at >= 0 {
		return jump[:at], jump[at+1:]
	}
	return "", jump
}
