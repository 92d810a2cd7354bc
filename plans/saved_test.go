package plans

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/inventory"
)

// savedPlan is a plan of a fleet that runs an older release.
func savedPlan(t *testing.T) (*fleet, *Saved) {
	t.Helper()
	f := newFleet(t, 2, unit("old"), unit("new"))
	run := f.runner.Survey(t.Context(), f.order)
	defer run.Close()
	s, err := run.Save("test", "deploy")
	if err != nil {
		t.Fatal(err)
	}
	return f, s
}

func TestSavedPlanIsCanonical(t *testing.T) {
	t.Parallel()
	_, s := savedPlan(t)
	name := filepath.Join(t.TempDir(), "a.plan")
	if err := s.Write(name); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 || !IsSaved(name) {
		t.Errorf("mode %v, a plan: %v, %v", info.Mode(), IsSaved(name), err)
	}
	back, err := ReadSaved(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s.bytes(), back.bytes()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(stepsService(s.Services[0]), stepsService(back.Services[0])); d != "" {
		t.Errorf("the service that would be deployed differs: %s", d)
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "*")); len(rest) != 1 {
		t.Errorf("left: %v", rest)
	}
	for _, secret := range []string{"PRIVATE KEY", "identity", "token"} {
		if bytes.Contains(s.bytes(), []byte(secret)) {
			t.Errorf("the plan says %q", secret)
		}
	}
}

// Whatever is changed in a plan, it is no plan any more.
func TestSavedPlanThatWasTouched(t *testing.T) {
	t.Parallel()
	_, s := savedPlan(t)
	text := string(s.bytes())
	resigned := func(change func(*Saved)) string {
		c := *s
		change(&c)
		c.Digest = c.digest()
		return string(c.bytes())
	}
	service := *s.Services[0]
	service.Units = []inventory.Unit{{Name: "../../evil.service", Content: []byte("x"), Digest: digestOf([]byte("x"))}}
	foreign := *s.Services[0]
	foreign.Units = []inventory.Unit{unitOf("web.service", "x")}
	foreign.Units[0].Digest = digestOf([]byte("y"))
	for name, changed := range map[string]string{
		"nothing":          "",
		"no JSON":          "hello",
		"other JSON":       `{"type": "x"}`,
		"cut short":        text[:len(text)/2],
		"a space":          strings.Replace(text, `"version": 1`, `"version":  1`, 1),
		"another host":     strings.Replace(text, "web-1", "web-9", 1),
		"a field more":     strings.Replace(text, `"version": 1`, `"version": 1, "x": 1`, 1),
		"a newer version":  strings.Replace(text, `"version": 1`, `"version": 2`, 1),
		"another digest":   strings.Replace(text, s.Digest, strings.Repeat("0", 64), 1),
		"another path":     resigned(func(c *Saved) { c.Services = []*inventory.Service{&service} }),
		"other bytes":      resigned(func(c *Saved) { c.Services = []*inventory.Service{&foreign} }),
		"a missing host":   resigned(func(c *Saved) { c.Environment.Hosts = c.Environment.Hosts[:1] }),
		"an empty service": resigned(func(c *Saved) { c.Services = append(c.Services[:1:1], nil) }),
		"an empty host":    resigned(func(c *Saved) { c.Environment.Hosts = append(c.Environment.Hosts[:2:2], nil) }),
	} {
		if name != "nothing" && changed == text {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := parseSaved([]byte(changed)); err == nil {
			t.Errorf("%s: still a plan", name)
		}
	}
	if _, err := parseSaved([]byte(text)); err != nil {
		t.Error(err)
	}
}

// What moves on a host between plan and deploy is named; reboots and processes are no move.
func TestSavedPlanRefusesWhatMoved(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		move func(f *fleet) error
		want string // in the refusal; empty: deployed
	}{
		{"nothing", func(*fleet) error { return nil }, ""},
		{"a reboot", func(f *fleet) error { f.hosts["web-1"].Reboot(); return nil }, ""},
		{"another process", func(f *fleet) error { return f.hosts["web-1"].StartUnit("web.service") }, ""},
		{"the unit", func(f *fleet) error {
			return f.hosts["web-1"].WriteFile(webPath, []byte(unit("third")), 0o644, "root", "root")
		}, webPath + " was "},
		{"its mode", func(f *fleet) error {
			return f.hosts["web-1"].WriteFile(webPath, []byte(unit("old")), 0o600, "root", "root")
		}, "root:root mode 644, is "},
		{"a drop-in", func(f *fleet) error {
			err := f.hosts["web-1"].WriteFile("/etc/systemd/system/web.service.d/a.conf", []byte("[Service]\nRestartSec=1\n"), 0o644, "root", "root")
			f.hosts["web-1"].DaemonReload()
			return err
		}, "a.conf was absent, is "},
		{"stopped", func(f *fleet) error { f.hosts["web-1"].StopUnit("web.service"); return nil }, "web.service runs was true, is false"},
		{"masked", func(f *fleet) error { return f.hosts["web-1"].MaskUnit("web.service") }, "masked"},
		{"deployed to", func(f *fleet) error {
			order := f.order
			order.Saved = nil
			run := f.runner.Survey(f.t.Context(), order)
			defer run.Close()
			run.Do(f.t.Context())
			return nil
		}, "release that was committed last was none, is "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, s := savedPlan(t)
			if err := tt.move(f); err != nil {
				t.Fatal(err)
			}
			f.forget()
			before := f.snapshot("web-2")
			f.order = s.Order()
			code := f.run(t.Context())
			if tt.want == "" {
				if code != ExitOK || f.outcomes() != "deployed deployed" {
					t.Errorf("exit code %d, %s: %+v", code, f.outcomes(), f.result("web-1"))
				}
				if got := record(f.hosts["web-1"], "plan"); got != s.Digest {
					t.Errorf("the host has plan %q on record, want %q", got, s.Digest)
				}
				return
			}
			if code != ExitRefused || !strings.HasPrefix(f.outcomes(), "refused ") || !strings.Contains(f.result("web-1").Text, tt.want) {
				t.Errorf("exit code %d, %s: %s", code, f.outcomes(), f.result("web-1").Text)
			}
			if after := f.snapshot("web-2"); !cmp.Equal(before, after) {
				t.Errorf("the other host was changed:\n%s", cmp.Diff(before, after))
			}
		})
	}
}

func FuzzSaved(f *testing.F) {
	f.Add([]byte(`{"type":"seatrial.plan","version":1}`))
	f.Add([]byte(`{"type":"seatrial.plan","version":1,"services":[null],"environment":{"hosts":[null]},"hosts":[{}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSaved(text)
		if err != nil {
			return
		}
		var any map[string]any
		if json.Unmarshal(text, &any) != nil || !bytes.Equal(s.bytes(), text) {
			t.Errorf("%q is taken for a plan", text)
		}
		_ = s.Previews()
		_ = s.Order()
	})
}
