package inventory

import (
	"errors"
	"strings"
	"testing"
)

func fleet() *Environment {
	return &Environment{Name: "production", Hosts: []*Host{
		{Name: "web-2", Tags: []string{"eu"}},
		{Name: "web-1", Tags: []string{"canary", "eu"}},
		{Name: "db.1"},
		{Name: "web-10", Tags: []string{"us"}},
	}}
}

func TestSelect(t *testing.T) {
	for _, test := range []struct{ selector, want string }{
		{"", "web-2 web-1 db.1 web-10"},
		{"  ", "web-2 web-1 db.1 web-10"},
		{"*", "web-2 web-1 db.1 web-10"},
		{"web-1", "web-1"},
		{"web-1,web-2,web-1", "web-2 web-1"},
		{" web-10 , @canary ", "web-1 web-10"},
		{"web-*", "web-2 web-1 web-10"},
		{"web-?", "web-2 web-1"},
		{"web-[12]", "web-2 web-1"},
		{"@eu", "web-2 web-1"},
		{"@u*,db.1", "db.1 web-10"},
	} {
		hosts, err := fleet().Select(test.selector)
		var names []string
		for _, host := range hosts {
			names = append(names, host.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != test.want {
			t.Errorf("%q: got %q %v, want %q", test.selector, got, err, test.want)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	const lists = "; hosts: web-2, web-1, db.1, web-10; tags: eu, canary, us"
	for _, test := range []struct{ selector, message, hint string }{
		{"web-3", `unknown host "web-3"`, `did you mean "web-2"?` + lists},
		{"web-1,mail-*", `no host matches "mail-*"`, lists[2:]},
		{"@canry", `no host has the tag "canry"`, `did you mean "canary"?` + lists},
		{"Web-1", `unknown host "Web-1"`, `did you mean "web-1"?` + lists},
		{"\x1b[0m", "term", ""},
		{"web-1,", "term", ""},
		{"@", "term", ""},
		{"web-[", "term", ""},
	} {
		hosts, err := fleet().Select(test.selector)
		if err == nil || hosts != nil || !strings.Contains(err.Error(), "select hosts of production: "+test.message) {
			t.Errorf("%q: got %v %v", test.selector, hosts, err)
		}
		var unknown *UnknownError
		if errors.As(err, &unknown) == errors.Is(err, ErrSelector) {
			t.Errorf("%q: neither or both kinds: %v", test.selector, err)
		}
		if unknown != nil && unknown.Hint() != test.hint {
			t.Errorf("%q: hint %q, want %q", test.selector, unknown.Hint(), test.hint)
		}
	}
}

func TestHintStaysShort(t *testing.T) {
	unknown := UnknownError{What: "host", Name: "x", Known: strings.Fields(strings.Repeat("host ", 500))}
	if hint := unknown.Hint(); !strings.Contains(hint, "and 480 more") || !strings.Contains(hint, "tags: none") {
		t.Error(hint)
	}
}

func TestShareOf(t *testing.T) {
	for _, test := range []struct {
		share   Share
		n, want int
		text    string
	}{
		{Share{}, 10, 0, "0"},
		{Share{Count: 3}, 10, 3, "3"},
		{Share{Count: 30}, 10, 10, "30"},
		{Share{Percent: 25}, 3, 1, "25%"},
		{Share{Percent: 25}, 10, 2, "25%"},
		{Share{Percent: 1}, 10, 1, "1%"},
		{Share{Percent: 100}, 10, 10, "100%"},
		{Share{Percent: 100}, 0, 0, "100%"},
		{Share{Count: 1}, -1, 0, "1"},
	} {
		if got := test.share.Of(test.n); got != test.want || test.share.String() != test.text {
			t.Errorf("%s of %d: got %d, want %d", test.share, test.n, got, test.want)
		}
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"user", "identity_files", "known_hosts", "connect_timeout"}
	for name, want := range map[string]string{
		"usr": "user", "suer": "user", "known_host": "known_hosts", "conect_timout": "connect_timeout",
		"colour": "", "": "", "identity-files": "identity_files", strings.Repeat("u", 1000): "",
	} {
		if got := nearest(name, candidates); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
