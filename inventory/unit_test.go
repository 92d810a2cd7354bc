package inventory

import (
	"strings"
	"testing"
)

func TestUnitFaults(t *testing.T) {
	for _, test := range []struct{ name, file, content, want string }{
		{"service", "a.service", "[Unit]\nAfter=x\n[Service]\nExecStart=/a\n[Install]\nWantedBy=b\n", ""},
		{"continued", "a.service", "[Service]\nExecStart=/a \\\n# a comment = [between]\n  --b \\\n; another\n  [c]\n", ""},
		{"continued at the end", "a.service", "[Service]\nExecStart=/a \\", ""},
		{"reset and set again", "a.service", "[Service]\nExecStart=/a\nExecStart=\nExecStart=/b\n", ""},
		{"blanks around", "a.service", "  [Service]  \r\n  ExecStart = /a\r\n", ""},
		{"own sections", "a.service", "[X-Ours]\na=b\n[Service]\nExecStart=/a\n", ""},
		{"byte order mark", "a.service", "\ufeff[Service]\nExecStart=/a\n", ""},
		{"oneshot that stops", "a.service", "[Service]\nType=oneshot\nExecStop=/a\n", ""},
		{"template", "a@.service", "[Service]\nExecStart=/a %i\n", ""},
		{"timer", "a.timer", "[Timer]\nOnCalendar=daily\n", ""},
		{"socket", "a.socket", "[Socket]\nListenStream=1\n", ""},
		{"path", "a.path", "[Path]\nPathExists=/a\n", ""},
		{"target", "a.target", "[Unit]\nDescription=x\n", ""},

		{"no ExecStart", "a.service", "[Service]\nType=simple\n", "no ExecStart="},
		{"reset", "a.service", "[Service]\nExecStart=/a\nExecStart=\n", "no ExecStart="},
		{"only a stop", "a.service", "[Service]\nExecStop=/a\n", "no ExecStart="},
		{"commented out", "a.service", "[Service]\n#ExecStart=/a\n", "no ExecStart="},
		{"in another section", "a.service", "[Service]\n[Unit]\nExecStart=/a\n", "no ExecStart="},
		{"wrong section", "a.service", "[Timer]\nOnCalendar=daily\n", "unknown section [Timer]"},
		{"a service named a timer", "a.timer", "[Service]\nExecStart=/a\n", "no [Timer] section"},
		{"truncated header", "a.service", "[Serv", `section "[Serv" is not closed`},
		{"before any section", "a.service", "ExecStart=/a\n[Service]\nExecStart=/a\n", "stands before the first section"},
		{"wrong case", "a.service", "[service]\nExecStart=/a\n", "unknown section [service]"},
		{"empty target", "a.target", "# nothing\n", "no section"},
		{"a script", "a.service", "#!/bin/sh\necho hello\n", "is not an assignment"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lines []string
			for _, fault := range unitFaults(test.file, []byte(test.content)) {
				lines = append(lines, fault.String())
			}
			got := strings.Join(lines, "\n")
			if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestUnitFaultsNameTheFirstLineOfAContinuedOne(t *testing.T) {
	faults := unitFaults("a.service", []byte("[Service]\nExecStart=/a\n\nnot \\\n an \\\n assignment\n"))
	if len(faults) != 1 || faults[0].Line != 4 {
		t.Errorf("got %+v", faults)
	}
}

func TestInstanceNames(t *testing.T) {
	for name, want := range map[string]string{
		"a.service": "a.service", "a@.service": "a@x.service a@y.service", "a@b.service": "a@b.service", "a@b@.timer": "a@b@x.timer a@b@y.timer",
	} {
		unit := Unit{Name: name, Instances: []string{"x", "y"}}
		if got := strings.Join(unit.Names(), " "); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
