package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxHosts bounds counts of hosts; no run over one connection each goes beyond.
const maxHosts = 100_000

// environment reads one [environments.NAME]; rule is for the environments that it requires.
func (t *table) environment(name string, rule rule, services []*Service) *Environment {
	environment := &Environment{Name: name, Confirm: t.flag("confirm", false), Require: t.names("require", rule)}
	rollout, _ := t.table("rollout")
	environment.Hosts = t.hosts(services)
	environment.Rollout = rollout.rollout(environment.Hosts)
	t.finish()
	return environment
}

// hosts reads every [[environments.NAME.hosts]].
func (t *table) hosts(services []*Service) []*Host {
	all := t.tables("hosts")
	if len(all) == 0 {
		t.problem("hosts", "no hosts", fmt.Sprintf(`add [[%s.hosts]] with name = "..." and address = "..."`, t.label))
	}
	var hosts []*Host
	names, addresses := map[string]int{}, map[string]int{}
	for _, table := range all {
		host := table.host(services)
		table.unique(names, "name", host.Name)
		if host.Address != "" {
			table.unique(addresses, "address", sameAddress(host.Address))
		}
		hosts = append(hosts, host)
	}
	t.conflicts(hosts, services)
	return hosts
}

// unique reports a value another table of the same list already has.
func (t *table) unique(lines map[string]int, key, value string) {
	if value == "" {
		return
	}
	line := t.keyLine(key)
	if first, taken := lines[value]; taken {
		t.problemAt(line, fmt.Sprintf("%s %s is already used on line %d", key, quote(fmt.Sprint(t.values[key])), first),
			fmt.Sprintf("every %s comes once", key))
		return
	}
	lines[value] = line
}

func (t *table) host(services []*Service) *Host {
	host := &Host{
		Name:    t.required("name", "web-1", nameRule),
		Address: t.required("address", "web-1.example.com", addressRule),
		User:    t.text("user", "", userRule),
		Tags:    t.names("tags", tagRule),
		HostKey: t.text("host_key", "", hostKeyRule),
	}
	host.Services = t.hostServices(services)
	t.finish()
	return host
}

// hostServices returns what a host runs, in the order the services stand in the file.
func (t *table) hostServices(services []*Service) []string {
	var known []string
	for _, service := range services {
		known = append(known, service.Name)
	}
	if _, ok := t.value("services"); !ok {
		return known
	}
	listed := t.names("services", oneOf(known...))
	if values, isArray := t.values["services"].([]any); isArray && len(values) == 0 {
		t.problem("services", "a host without services", "leave services out to run all of them")
	}
	var runs []string
	for _, name := range known {
		if slices.Contains(listed, name) {
			runs = append(runs, name)
		}
	}
	return runs
}

// conflicts reports services that would overwrite each other's units on one host. Two
// services may share a unit's name as long as no host runs both.
func (t *table) conflicts(hosts []*Host, services []*Service) {
	units := map[string][]Unit{}
	for _, service := range services {
		units[service.Name] = service.Units
	}
	reported := map[string]bool{}
	for _, host := range hosts {
		owners := map[string]string{}
		for _, service := range host.Services {
			for _, unit := range units[service] {
				owner, taken := owners[unit.Name]
				owners[unit.Name] = service
				if taken && owner != service && !reported[unit.Name] {
					reported[unit.Name] = true
					t.problem("hosts", fmt.Sprintf("services %s and %s both push %s to host %s", owner, service, unit.Name, quote(host.Name)),
						"give each host the services it runs: services = [...]")
				}
			}
		}
	}
}

// rollout reads [environments.NAME.rollout] and judges it by the hosts there are.
func (t *table) rollout(hosts []*Host) Rollout {
	rollout := Rollout{
		Canary:      t.canary(hosts),
		Waves:       t.waves(len(hosts)),
		Pause:       t.duration("pause", 0, span{0, 24 * time.Hour, 0}),
		MaxParallel: t.number("max_parallel", 50, bounds{1, 1000}),
		MaxFailed:   t.share("max_failed"),
		Unreachable: t.text("unreachable", UnreachableFail, oneOf(UnreachableFail, UnreachableSkip)),
		OnFailure:   t.text("on_failure", RollbackAll, oneOf(RollbackAll, RollbackFailed, Halt)),
	}
	t.finish()
	return rollout
}

// canary reads 1 or "@tag".
func (t *table) canary(hosts []*Host) Canary {
	const hint = `write canary = 1, or a tag: canary = "@canary"`
	value, ok := t.value("canary")
	if !ok {
		return Canary{}
	}
	switch value := value.(type) {
	case int64:
		if value >= 0 && (value <= int64(len(hosts)) || len(hosts) == 0) {
			return Canary{Count: int(min(value, maxHosts))}
		}
		t.problem("canary", fmt.Sprintf("canary %d of %d hosts", value, len(hosts)), hint)
	case string:
		tag, isTag := strings.CutPrefix(value, "@")
		if message, _ := nameRule(tag); !isTag || message != "" {
			t.problem("canary", fmt.Sprintf("canary %s is neither a number nor a tag", quote(value)), hint)
			break
		}
		if !tagged(hosts, tag) {
			t.problem("canary", fmt.Sprintf("canary %s: no host has this tag", quote(value)), fmt.Sprintf("write tags = [%q] on one host", tag))
		}
		return Canary{Tag: tag}
	default:
		t.wrongType(t.keyLine("canary"), "canary", value, "a number or a tag", hint)
	}
	return Canary{}
}

func tagged(hosts []*Host, tag string) bool {
	for _, host := range hosts {
		if slices.Contains(host.Tags, tag) {
			return true
		}
	}
	return false
}

// share reads one share that may be zero.
func (t *table) share(key string) Share {
	value, ok := t.value(key)
	if !ok {
		return Share{}
	}
	share, ok := parseShare(value)
	if !ok {
		t.problem(key, fmt.Sprintf("%s %s is not a share of hosts", key, quote(fmt.Sprint(value))), fmt.Sprintf(`write %s = 1 or %s = "10%%"`, key, key))
	}
	return share
}

// waves reads cumulative shares that grow up to all hosts.
func (t *table) waves(hosts int) []Share {
	all := []Share{{Percent: 100}}
	const hint = `write shares that grow to all hosts: waves = ["25%", "100%"], or counts: [1, 5, "100%"]`
	values := t.array("waves", `["25%", "100%"]`)
	if len(values) == 0 {
		if value, ok := t.values["waves"].([]any); ok && len(value) == 0 {
			t.problem("waves", "waves is empty", hint)
		}
		return all
	}
	var waves []Share
	for i, value := range values {
		share, ok := parseShare(value)
		if !ok || share == (Share{}) {
			t.problemAt(t.itemLine("waves", i), fmt.Sprintf("wave %s is not a share of hosts", quote(fmt.Sprint(value))), hint)
			return all
		}
		if i > 0 && !grows(waves[i-1], share, hosts) {
			t.problemAt(t.itemLine("waves", i), fmt.Sprintf("wave %s is not more than wave %s before it", share, waves[i-1]), hint)
			return all
		}
		waves = append(waves, share)
	}
	if last := waves[len(waves)-1]; last.Of(hosts) < hosts {
		t.problemAt(t.itemLine("waves", len(waves)-1), fmt.Sprintf("the last wave is %s, and some hosts would never change", last), hint)
		return all
	}
	return waves
}

// grows says whether wave b comes after wave a. A percentage and a count can only be
// compared by the hosts they stand for.
func grows(a, b Share, hosts int) bool {
	if (a.Percent > 0) == (b.Percent > 0) {
		return a.Percent < b.Percent || a.Count < b.Count
	}
	return a.Of(hosts) <= b.Of(hosts)
}
