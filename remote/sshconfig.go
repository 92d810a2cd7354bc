package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ssh_config "github.com/kevinburke/ssh_config"
)

// settings is what a person's ssh configuration says about a host: keyword in lower case -> its values.
type settings map[string][]string

func (s settings) one(key string) string {
	if len(s[key]) == 0 {
		return ""
	}
	return s[key][0]
}

// isSet is one, with ssh's own "none" for nothing.
func (s settings) isSet(key string) string {
	if value := s.one(key); !strings.EqualFold(value, "none") {
		return value
	}
	return ""
}

// lookup reads the configuration for a name. The ssh program is the authority on its own files; where there is none, a
// library reads the simple ones.
func (d *Dialer) lookup(ctx context.Context, name, login, port string) (settings, error) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		return d.readConfig(name)
	}
	ctx, cancel := context.WithTimeout(ctx, defaultConnectTimeout)
	defer cancel()
	args := append([]string{"-G"}, d.configFile()...)
	if login != "" {
		args = append(args, "-l", login)
	}
	if port != "" {
		args = append(args, "-p", port)
	}
	cmd := exec.CommandContext(ctx, program, append(args, "--", name)...)
	endTogether(cmd)            // a Match exec starts others
	cmd.WaitDelay = time.Second // which may leave children behind that hold the pipe
	var complaint capture
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ssh -G -- %s: %w: %s", name, err, printable(complaint.String(), noiseShown))
	}
	return d.rehome(parseSettings(string(out))), nil
}

// otherHome is the account's home when Home is another one. The ssh program knows only the account's.
func (d *Dialer) otherHome() (account string, other bool) {
	u, err := user.Current()
	if d.Home == "" || (err == nil && u.HomeDir == d.Home) {
		return "", false
	}
	if err == nil {
		account = u.HomeDir
	}
	return account, true
}

// rehome puts what ssh has expanded to the account's home back under Home.
func (d *Dialer) rehome(s settings) settings {
	account, other := d.otherHome()
	if !other || account == "" {
		return s
	}
	for _, key := range []string{"userknownhostsfile", "identityfile", "identityagent"} {
		for i, value := range s[key] {
			s[key][i] = strings.ReplaceAll(value, account+"/.ssh/", d.Home+"/.ssh/")
		}
	}
	return s
}

// configFile makes ssh read the configuration in Home.
func (d *Dialer) configFile() []string {
	if _, other := d.otherHome(); !other {
		return nil
	}
	file := filepath.Join(d.Home, ".ssh", "config")
	if _, err := os.Stat(file); err != nil {
		return []string{"-F", "none"}
	}
	return []string{"-F", file}
}

func parseSettings(text string) settings {
	s := make(settings)
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok {
			s[key] = append(s[key], value)
		}
	}
	return s
}

// keywords are those that are honoured.
func keywords() []string {
	return []string{
		"HostName", "Port", "User", "IdentityFile", "IdentitiesOnly", "IdentityAgent", "UserKnownHostsFile",
		"GlobalKnownHostsFile", "HostKeyAlias", "ProxyJump", "ProxyCommand", "ConnectTimeout",
	}
}

// readConfig is for machines without an ssh program.
func (d *Dialer) readConfig(name string) (settings, error) {
	s := make(settings)
	for _, file := range []string{filepath.Join(d.home(), ".ssh", "config"), "/etc/ssh/ssh_config"} {
		content, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		config, err := ssh_config.Decode(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if err := s.addFrom(config, name); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return s, nil
}

// addFrom takes what is not set yet: the first value wins, except for identity files, of which there may be many.
func (s settings) addFrom(config *ssh_config.Config, name string) error {
	for _, keyword := range keywords() {
		values, err := config.GetAll(name, keyword)
		if err != nil {
			return err
		}
		key := strings.ToLower(keyword)
		if len(values) > 0 && (key == "identityfile" || s.one(key) == "") {
			s[key] = append(s[key], values...)
		}
	}
	return nil
}

// home is where ~ is.
func (d *Dialer) home() string {
	if d.Home != "" {
		return d.Home
	}
	home, _ := os.UserHomeDir()
	return home
}

// expand replaces ~ and the tokens of ssh_config in a file name; ok is false for tokens that are not known here.
func (d *Dialer) expand(path string, end *endpoint) (expanded string, ok bool) {
	path = strings.Trim(path, `"`)
	if rest, tilde := strings.CutPrefix(path, "~/"); tilde {
		path = filepath.Join(d.home(), rest)
	}
	path = strings.NewReplacer("%%", "%", "%d", d.home(), "%h", end.host, "%p", end.port, "%r", end.user,
		"%u", accountName(), "${HOME}", d.home()).Replace(path)
	return path, !strings.ContainsAny(path, "%$")
}

func accountName() string {
	account, err := user.Current()
	if err != nil {
		return ""
	}
	return account.Username
}

// defaultIdentities are those that ssh tries when nothing is configured.
func defaultIdentities() []string {
	return []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}
}

func defaultKnownHosts() []string { return []string{"~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"} }

// fill completes an endpoint with the settings; what the inventory says has been set before and wins.
func (d *Dialer) fill(end *endpoint, s settings) {
	end.host = first(s.one("hostname"), end.host)
	end.port = first(end.port, s.one("port"), "22")
	end.user = first(end.user, s.one("user"), accountName())
	end.keyName = strings.ToLower(end.address())
	if alias := s.one("hostkeyalias"); alias != "" {
		end.keyName = strings.ToLower(alias) + ":22"
	}
	end.identitiesOnly = s.one("identitiesonly") == "yes"
	end.agentSocket = d.agentFor(end, s)
	end.timeout = firstDuration(end.timeout, s.one("connecttimeout"))
	if len(end.identities) == 0 {
		end.identities = d.identities(end, s)
	}
	if len(end.knownHosts) == 0 {
		end.knownHosts = d.knownHostsFiles(end, s)
	}
}

func (d *Dialer) identities(end *endpoint, s settings) []identity {
	files := s["identityfile"]
	if len(files) == 0 {
		files = defaultIdentities()
	}
	var ids []identity
	for _, file := range files {
		if path, ok := d.expand(file, end); ok && !strings.EqualFold(file, "none") {
			ids = append(ids, identity{path: path})
		}
	}
	return ids
}

func (d *Dialer) knownHostsFiles(end *endpoint, s settings) []string {
	files := slices.Concat(strings.Fields(s.one("userknownhostsfile")), strings.Fields(s.one("globalknownhostsfile")))
	if len(files) == 0 {
		files = defaultKnownHosts()
	}
	var paths []string
	for _, file := range files {
		if path, ok := d.expand(file, end); ok && !strings.EqualFold(file, "none") {
			paths = append(paths, path)
		}
	}
	return paths
}

func (d *Dialer) agentFor(end *endpoint, s settings) string {
	socket := s.one("identityagent")
	switch {
	case strings.EqualFold(socket, "none"):
		return ""
	case socket == "" || socket == "SSH_AUTH_SOCK":
		return d.AgentSocket
	}
	if path, ok := d.expand(socket, end); ok {
		return path
	}
	return d.AgentSocket
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

func firstDuration(set time.Duration, seconds string) time.Duration {
	if set > 0 {
		return set
	}
	if d, err := time.ParseDuration(seconds + "s"); err == nil && d > 0 {
		return d
	}
	return defaultConnectTimeout
}
