package inventory

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// globs are the characters that make a term a pattern.
const globs = `*?[`

// ErrSelector is a selector that cannot be understood, whatever the hosts.
var ErrSelector = errors.New(`write names, patterns and tags with commas between them: "web-1,web-*,@canary"`)

// Select returns the hosts a selector picks, each once, in file order. A selector is a
// list of names, patterns such as web-*, and tags such as @canary; the empty one
// picks all hosts. A term that matches nothing is an *UnknownError: a typing error must
// not shrink a deployment in silence.
func (e *Environment) Select(selector string) ([]*Host, error) {
	if strings.TrimSpace(selector) == "" {
		return append([]*Host(nil), e.Hosts...), nil
	}
	picked := map[*Host]bool{}
	for _, term := range strings.Split(selector, ",") {
		hosts, err := e.term(strings.TrimSpace(term))
		if err != nil {
			return nil, fmt.Errorf("select hosts of %s: %w", e.Name, err)
		}
		for _, host := range hosts {
			picked[host] = true
		}
	}
	var hosts []*Host
	for _, host := range e.Hosts {
		if picked[host] {
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}

// term returns the hosts one term picks.
func (e *Environment) term(term string) ([]*Host, error) {
	tag, byTag := strings.CutPrefix(term, "@")
	pattern := term
	if byTag {
		pattern = tag
	}
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return nil, fmt.Errorf("term %s: %w", quote(term), ErrSelector)
	}
	var hosts []*Host
	for _, host := range e.Hosts {
		if matches(pattern, host, byTag) {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return nil, e.unknown(pattern, byTag)
	}
	return hosts, nil
}

// matches compares with path.Match; a name without pattern characters matches only itself.
func matches(pattern string, host *Host, byTag bool) bool {
	names := []string{host.Name}
	if byTag {
		names = host.Tags
	}
	for _, name := range names {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return true
		}
	}
	return false
}

func (e *Environment) unknown(name string, byTag bool) *UnknownError {
	unknown := &UnknownError{What: "host", Name: name}
	if byTag {
		unknown.What = "tag"
	}
	for _, host := range e.Hosts {
		unknown.Known = append(unknown.Known, host.Name)
		for _, tag := range host.Tags {
			if !slices.Contains(unknown.Tags, tag) {
				unknown.Tags = append(unknown.Tags, tag)
			}
		}
	}
	return unknown
}
