package steps

import (
	"strings"
	"testing"
)

// What a host's files hold, a person's words among them, comes back from the facts whole, and never as another fact.
func FuzzRecordAndHistory(f *testing.F) {
	f.Add("TRIAL", "token", "tester@here (pid 7)", "moving the database", "20260102T030405Z-0a1b2c3d")
	f.Add("COMMITTED", "", "a=b", "state=TRIAL", "x y")
	f.Add("0", "0", "0", "0", "@")
	f.Add("", "=", "@host", "@record\nstate=TRIAL", "")
	f.Fuzz(func(t *testing.T, state, token, owner, message, release string) {
		for _, s := range []string{state, token, owner, message, release} {
			if strings.ContainsAny(s, "\n") {
				return // a record's values are on one line each; that is the writers' part
			}
		}
		text := "@host\nboot=b\nuptime=10\n@record\nversion=1\nstate=" + state + "\ntoken=" + token + "\nboot=b\nrelease=" + release +
			"\nowner=" + owner + "\ndeadline=70\n@maintenance\nowner=" + owner + "\nmessage=" + message +
			"\n@history\n" + release + " committed 1767323045 - - - " + owner + "\n"
		facts, err := ParseFacts(text)
		if err != nil {
			t.Fatal(err)
		}
		r, m := facts.Record, facts.Maintenance
		if r.State != state || r.Token != token || r.Owner != owner || r.Release != release || m.Owner != owner || m.Message != message {
			t.Errorf("%q became %+v, %+v", text, r, m)
		}
		if left := facts.LeaseLeft(); (left > 0) != r.Unfinished() {
			t.Errorf("state %q has %s of its lease left", state, left)
		}
		if release != "" && !strings.ContainsAny(release, " @") { // as ids are
			if len(facts.Releases) != 1 || facts.Releases[0].ID != release || facts.Releases[0].Owner != owner {
				t.Errorf("%q: %+v", release, facts.Releases)
			}
		}
	})
}
