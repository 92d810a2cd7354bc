package inventory

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// FuzzRead holds for any bytes: no panic, problems that can be printed and found, and
// an inventory that keeps its promises whenever there are none.
func FuzzRead(f *testing.F) {
	f.Add(small)
	f.Add(many)
	f.Add("[a]\nb.\"c.d\".'e' = [{ x = 1, y.z = \"\"\"\"q\"\"\"\"\" }, [1, 2], 1979-05-27 07:32:00]\n[[a.l]]\n[a.l.m]\n[[a.l]] # x")
	f.Add("x = '''\n'''' # [[\ny = \"\\\"\" # \"\n")
	f.Add(strings.Repeat("[", 100))
	dir := folder(f, map[string]string{"web.service": smallUnit})
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 64<<10 {
			return
		}
		r := &reader{path: "inventory.toml", dir: dir, home: "/home/x"}
		inventory := r.inventory(text)
		for _, problem := range r.problems {
			sound(t, problem, text)
		}
		if len(r.problems) == 0 {
			promises(t, inventory)
		}
		var values map[string]any
		if at, deep := places(text); deep == 0 {
			if _, err := toml.Decode(text, &values); err == nil {
				placed(t, values, at, strings.TrimPrefix(text, "\ufeff"))
			}
		}
	})
}

// placed checks that the second reading of a TOML text saw what the library saw.
func placed(t *testing.T, value any, at *place, text string) {
	t.Helper()
	if at == nil || at.offset > len(text) {
		t.Fatalf("%v has no place", value)
	}
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if !strings.ContainsAny(text, `\`) { // escapes in keys may be spelled beyond strconv
				placed(t, inner, at.key(key), text)
			}
		}
	case []any:
		for i, inner := range value {
			placed(t, inner, at.item(i), text)
		}
	case []map[string]any:
		for i, inner := range value {
			placed(t, inner, at.item(i), text)
		}
	}
}

func promises(t *testing.T, inventory *Inventory) {
	t.Helper()
	if len(inventory.Services) == 0 || len(inventory.Environments) == 0 {
		t.Fatal("nothing in it")
	}
	for _, environment := range inventory.Environments {
		waves := environment.Rollout.Waves
		if n := len(environment.Hosts); n == 0 || waves[len(waves)-1].Of(n) != n {
			t.Errorf("environment %+v", environment)
		}
		for _, host := range environment.Hosts {
			if host.Name == "" || host.Address == "" || strings.HasPrefix(host.Address, "-") || len(host.Services) == 0 {
				t.Errorf("host %+v", host)
			}
		}
	}
	for _, service := range inventory.Services {
		if len(service.Units) == 0 || service.StartTimeout <= 0 || service.Settle.Window <= 0 || service.Verify.Timeout <= 0 {
			t.Errorf("service %+v", service)
		}
		for _, check := range service.Checks {
			if check.Name == "" || check.Timeout <= 0 || strings.Contains(strings.Join(check.Command, ""), "\x00") {
				t.Errorf("check %+v", check)
			}
		}
	}
}

// FuzzSelect holds for any selector: hosts or an error, each host once and in order.
func FuzzSelect(f *testing.F) {
	for _, selector := range []string{"", "web-1,web-*", "@canary", "@e?", "web-[0-9]", "[", "\\", ",", "@", "\x1b[31m", "web-1\n"} {
		f.Add(selector)
	}
	f.Fuzz(func(t *testing.T, selector string) {
		environment := fleet()
		hosts, err := environment.Select(selector)
		if (err == nil) == (len(hosts) == 0) {
			t.Fatalf("%q: %v, %v", selector, hosts, err)
		}
		if err != nil {
			if message, _ := lineRule(err.Error()); message != "" {
				t.Errorf("not fit to print: %q", err)
			}
			return
		}
		next := 0
		for _, host := range hosts {
			for next < len(environment.Hosts) && environment.Hosts[next] != host {
				next++
			}
			next++
		}
		if next > len(environment.Hosts) {
			t.Errorf("%q: out of order or twice", selector)
		}
	})
}
