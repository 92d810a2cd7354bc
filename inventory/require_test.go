package inventory

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// required is an inventory of environments, each with what is written in it.
func required(t *testing.T, environments ...string) (*Inventory, error) {
	t.Helper()
	text := "[services.web]\nunit = \"web.service\"\n"
	for i, lines := range environments {
		name := string(rune('a' + i))
		text += "[environments." + name + "]\n" + lines + "\n[[environments." + name + ".hosts]]\nname = \"h\"\naddress = \"h\"\n"
	}
	return Read(filepath.Join(folder(t, map[string]string{"inventory.toml": text, "web.service": smallUnit}), "inventory.toml"))
}

func TestRequire(t *testing.T) {
	inv, err := required(t, "", `require = ["a"]`, `require = ["b", "a"]`)
	if err != nil {
		t.Fatal(err)
	}
	if got := inv.Environments[2].Require; !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("c requires %q", got)
	}
	if got := inv.Environments[0].Require; got != nil {
		t.Errorf("a requires %q", got)
	}
}

func TestRequireRefuses(t *testing.T) {
	for _, test := range []struct {
		name         string
		environments []string
		want         []string // line, message and hint of each problem
	}{
		{"unknown", []string{"", `require = ["aa"]`}, []string{`:9: environments.b: require "aa" is not known here`, `hint: write one of a`}},
		{"no other", []string{`require = ["x"]`}, []string{`:4: environments.a: require "x" is not known here`, "hint: there is no other environment"}},
		{"itself", []string{"", `require = ["b"]`}, []string{`:9: environments.b: require "b" is this environment itself`, "hint: name the environments whose"}},
		{"twice", []string{"", `require = ["a", "a"]`}, []string{`:9: environments.b: require names "a" twice`, "hint: leave one of them out"}},
		{"type", []string{"", `require = "a"`}, []string{`:9: environments.b: require is a string, not an array`, "hint: "}},
		{"circle", []string{`require = ["b"]`, `require = ["c"]`, `require = ["b"]`}, []string{
			`:9: environments.b: require goes in a circle: b, c, b`, "hint: leave one of them out"}},
		{"way into a circle", []string{`require = ["b"]`, `require = ["a"]`, `require = ["a"]`}, []string{
			`:4: environments.a: require goes in a circle: a, b, a`, "hint: leave one of them out"}},
		{"long circle", []string{`require = ["b"]`, `require = ["c", "d"]`, ``, `require = ["a"]`}, []string{
			`:4: environments.a: require goes in a circle: a, b, d, a`, "hint: leave one of them out"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := required(t, test.environments...)
			problems(t, err)
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Fatalf("%d lines, want %d:\n%v", len(lines), len(test.want), err)
			}
			for i, want := range test.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("%q, want %q", lines[i], want)
				}
			}
		})
	}
}
