package inventory

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// rule judges a string: an empty message is consent, otherwise message follows the
// key and its value in a sentence, and hint says what to write.
type rule func(value string) (message, hint string)

// pattern makes a rule of a regular expression.
func pattern(expression, message, hint string) rule {
	compiled := regexp.MustCompile(expression)
	return func(value string) (string, string) {
		if compiled.MatchString(value) {
			return "", ""
		}
		return message, hint
	}
}

const nameHint = "letters, digits, dot, dash and underscore, at most 64, starting with a letter or digit"

var (
	nameRule        = pattern(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, "is not a name", nameHint)
	serviceNameRule = pattern(`^[a-z0-9][a-z0-9_.-]{0,63}$`, "is not a service name",
		"lower-case letters, digits, dot, dash and underscore, at most 64, starting with a letter or digit")
	userRule = pattern(`^[a-z_][a-z0-9_-]{0,31}$`, "is not a user or group name",
		"lower-case letters, digits, dash and underscore, at most 32, starting with a letter")
	variableRule = pattern(`^[A-Za-z_][A-Za-z0-9_]*$`, "is not a variable name",
		"letters, digits and underscore, not starting with a digit")
	modeRule     = pattern(`^[0-7]?[0-7]{3}$`, "is not a mode", `write mode = "0755"`)
	instanceRule = pattern(`^[A-Za-z0-9:_.-]{1,64}$`, "is not an instance name",
		`letters, digits, colon, underscore, dot and dash, such as instances = ["1", "2"]`)
	hostNamePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}$`)
)

// tagRule is nameRule with a word for those who write the tag as selectors do.
func tagRule(value string) (string, string) {
	if bare, ok := strings.CutPrefix(value, "@"); ok && bare != "" {
		return "has an @", fmt.Sprintf("write %q; the @ belongs to selectors only", bare)
	}
	return nameRule(value)
}

// lineRule refuses what would break out of a line of text, or out of a terminal.
func lineRule(value string) (string, string) {
	if strings.IndexFunc(value, unicode.IsControl) >= 0 {
		return "contains a control character or a line break", "write it on one line"
	}
	return "", ""
}

// nulRule refuses what no program argument can carry.
func nulRule(value string) (string, string) {
	if strings.Contains(value, "\x00") {
		return "contains a NUL", "leave it out"
	}
	return "", ""
}

func filledRule(value string) (string, string) {
	if strings.TrimSpace(value) == "" {
		return "is empty", "write something, or leave the key out"
	}
	return "", ""
}

func shortRule(value string) (string, string) {
	if len(value) > 200 {
		return "is too long", "keep it below 200 bytes"
	}
	return "", ""
}

// oneOf is a rule for a fixed set of words.
func oneOf(words ...string) rule {
	return func(value string) (string, string) {
		if slices.Contains(words, value) {
			return "", ""
		}
		hint := "write one of " + strings.Join(words, ", ")
		if near := nearest(value, words); near != "" {
			hint = "did you mean " + quote(near) + "?"
		}
		return "is not known here", hint
	}
}

// hostPathRule wants a path on a host: absolute, and the one way to write it.
func hostPathRule(value string) (string, string) {
	if message, hint := lineRule(value); message != "" {
		return message, hint
	}
	clean := path.Clean("/" + value)
	switch {
	case !strings.HasPrefix(value, "/"):
		return "is not an absolute path", "write the whole path, starting with /"
	case len(value) > 4000:
		return "is too long", "keep it below 4000 bytes"
	case value != clean:
		return "is not a plain path", fmt.Sprintf("write %s", quote(clean))
	}
	return "", ""
}

// logDirectoryRule protects what many services share: log-setup changes owner and mode.
func logDirectoryRule(value string) (string, string) {
	shared := []string{"/var/log", "/var/lib", "/var/cache", "/var/www", "/var/log/journal", "/usr/bin", "/usr/lib", "/etc/systemd"}
	if strings.Count(value, "/") < 2 || slices.Contains(shared, value) {
		return "belongs to the whole host, not to a service", `write a directory of its own, such as "/var/log/NAME"`
	}
	return "", ""
}

// addressRule accepts host, host:port, [IPv6]:port, a bare IP, or an ssh_config alias.
func addressRule(value string) (string, string) {
	const message = "is not host or host:port"
	host, port, found := splitAddress(value)
	switch {
	case strings.Contains(value, "://"):
		return message, "leave out the scheme"
	case strings.Contains(value, "@"):
		return message, `leave the user out here and write user = "..." for the host`
	case strings.HasPrefix(value, "-"):
		return message, "an address does not start with a dash"
	case found && !validPort(port):
		return "has a wrong port", "ports are 1 to 65535"
	}
	if ip, err := netip.ParseAddr(host); err == nil && (ip.Zone() == "" || hostNamePattern.MatchString(ip.Zone())) {
		return "", ""
	}
	if hostNamePattern.MatchString(host) {
		return "", ""
	}
	return message, `such as "web-1.example.com", "web-1.example.com:2222", "[2001:db8::1]:22" or an alias of ~/.ssh/config`
}

// splitAddress separates the port, if there is one. A bare IPv6 address has none.
func splitAddress(value string) (host, port string, found bool) {
	if strings.HasPrefix(value, "[") {
		host, rest, closed := strings.Cut(value[1:], "]")
		port, found = strings.CutPrefix(rest, ":")
		if !closed || (!found && rest != "") || !strings.Contains(host, ":") {
			return value, "", false
		}
		return host, port, found
	}
	if strings.Count(value, ":") != 1 {
		return value, "", false
	}
	return strings.Cut(value, ":")
}

// sameAddress is equal for two spellings of one address.
func sameAddress(value string) string {
	host, port, found := splitAddress(value)
	if !found {
		port = "22"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	return strings.ToLower(host) + " " + port
}

func validPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0 && port == strconv.FormatUint(number, 10)
}

// hostKeyRule accepts a fingerprint as ssh-keygen -lf prints it.
func hostKeyRule(value string) (string, string) {
	const hint = `write host_key = "SHA256:..." with the 43 characters "ssh-keygen -lf" prints, or leave it out`
	encoded, ok := strings.CutPrefix(value, "SHA256:")
	sum, err := base64.RawStdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || len(sum) != 32 || len(encoded) != 43 {
		return "is not a fingerprint", hint
	}
	return "", ""
}

// listenRule accepts "ip:port" and ":port" in the one spelling that can be compared.
func listenRule(value string) (string, string) {
	if port, ok := strings.CutPrefix(value, ":"); ok && validPort(port) {
		return "", ""
	}
	if validPort(value) {
		return "is not ip:port", fmt.Sprintf(`write ":%s" for any address, or "127.0.0.1:%s"`, value, value)
	}
	address, err := netip.ParseAddrPort(value)
	if err != nil || address.Port() == 0 || address.Addr().Zone() != "" {
		return "is not ip:port", `such as "127.0.0.1:8003", "[::1]:8003", or ":8003" for any address; names are not looked up`
	}
	if address.String() != value {
		return "is not in its usual form", "write " + quote(address.String())
	}
	return "", ""
}

// urlRule accepts a plain http or https URL.
func urlRule(value string) (string, string) {
	if message, hint := lineRule(value); message != "" {
		return message, hint
	}
	const message, hint = "is not a URL", `such as "http://127.0.0.1:8003/healthz/"`
	parsed, err := url.Parse(value)
	switch {
	case err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Hostname() == "":
		return message, hint
	case parsed.User != nil:
		return "carries a user or password", "leave them out: the inventory is no place for secrets"
	case parsed.Fragment != "" || strings.Contains(value, " "):
		return message, "leave out the part after #, and write a blank as %20"
	case strings.HasSuffix(parsed.Host, ":") || (parsed.Port() != "" && !validPort(parsed.Port())):
		return "has a wrong port", "ports are 1 to 65535"
	}
	return "", ""
}
