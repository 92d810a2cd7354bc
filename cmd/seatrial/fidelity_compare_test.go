package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A run is all that a run of the program said.
type run struct {
	code  int
	lines []saidLine
}

// of is what it said of one service.
func (r run) of(service string) said {
	s := said{code: r.code}
	for _, l := range r.lines {
		if l.Service == service {
			s.take(l)
		}
	}
	return s
}

// said is what one run of the program said of one service on the one host.
type said struct {
	code    int
	planned saidLine
	steps   []string // that ended well, in order
	failed  string   // step
	lint    []string
	end     saidLine // host.finished
}

type saidLine struct {
	Type, Step, Status, Kind, Text, Outcome, Release, Current, Service string
	Changes                                                            bool
	Files                                                              []struct {
		Path, Action string
		From, To     *fileState
	}
	Units []struct {
		Unit, Start, Process string
		DropIns              []string `json:"drop_ins"`
		Enable               bool
	}
	Lines []struct {
		Step    string
		Changes bool
	}
}

type fileState struct{ Digest, Mode, Owner, Group string }

func (f *fileState) String() string {
	if f == nil {
		return "absent"
	}
	return fmt.Sprintf("%s %s:%s:%s", f.Digest, f.Mode, f.Owner, f.Group)
}

func (s *said) take(l saidLine) {
	switch {
	case l.Type == "host.planned":
		s.planned = l
	case l.Type == "host.finished":
		s.end = l
	case l.Type == "step.finished" && l.Status == "ok" && l.Step != "rollback" && l.Step != "lint":
		s.steps = append(s.steps, l.Step)
	case l.Type == "step.finished" && l.Status == "failed":
		s.failed = cmp.Or(s.failed, l.Step)
	case l.Type == "step.output" && l.Kind == "lint":
		s.lint = append(s.lint, l.Text)
	}
}

// A picture is a host as it is seen from outside, as far as the players go.
type picture struct {
	lines []string
	paths map[string]string            // everything outside of seatrial's own state
	units map[string]map[string]string // properties
}

// camera prints `path PATH DIGEST MODE:OWNER:GROUP` and `unit UNIT KEY=VALUE`.
const camera = `
for f in /etc/systemd/system/$1* /etc/systemd/system/.seatrial-$1* /etc/systemd/system/*.wants/$1* /etc/systemd/system/$1*.d/* /run/systemd/system/$1* \
	/run/systemd/system.control/$1* /run/systemd/system.control/.seatrial-$1* /usr/lib/systemd/system/$1* /etc/logrotate.d/$1 \
	/etc/logrotate.d/seatrial-$1* /var/log/$1 /dev/shm/$1* /run/seatrial/$1 /var/lib/seatrial/$1/record /var/lib/seatrial/$1/history; do
	if [ -L "$f" ]; then
		printf 'path %s link %s\n' "$f" "$(readlink "$f")"
	elif [ -f "$f" ]; then
		digest=$(sha256sum <"$f")
		printf 'path %s %s %s\n' "$f" "${digest%% *}" "$(stat -c %a:%U:%G "$f")"
	elif [ -e "$f" ]; then
		printf 'path %s directory %s\n' "$f" "$(stat -c %a:%U:%G "$f")"
	fi
done
for unit in $1.service $1@1.service; do
	systemctl show -p LoadState,ActiveState,InvocationID,MainPID,UnitFileState,DropInPaths -- $unit | sort | while read -r line; do printf 'unit %s %s\n' "$unit" "$line"; done
done
`

func (p *play) look() picture {
	var all string
	for _, s := range p.players() {
		out, err := p.sh(camera, s.name)
		if err != nil {
			p.differs("the host cannot be looked at: %v", err)
		}
		all += out
	}
	seen := picture{paths: map[string]string{}, units: map[string]map[string]string{}}
	for line := range strings.Lines(all) {
		line = strings.TrimSpace(line)
		kind, rest, _ := strings.Cut(line, " ")
		name, value, _ := strings.Cut(rest, " ")
		switch {
		case kind == "path" && !strings.HasPrefix(name, "/var/lib/seatrial/"):
			seen.paths[name] = value
		case kind == "unit":
			if seen.units[name] == nil {
				seen.units[name] = map[string]string{}
			}
			key, v, _ := strings.Cut(value, "=")
			seen.units[name][key] = v
		}
		seen.lines = append(seen.lines, line)
	}
	return seen
}

// of is the part that one service has in it.
func (s picture) of(service string) picture {
	part := s.clone()
	for path := range s.paths {
		if !strings.Contains(path, service) {
			delete(part.paths, path)
		}
	}
	for unit := range s.units {
		if !strings.HasPrefix(unit, service) {
			delete(part.units, unit)
		}
	}
	return part
}

func (s picture) runs(unit string) bool { return s.units[unit]["ActiveState"] == "active" }

// compare says in what the deploy was not as planned.
func compare(plan, deploy said, before, after picture) []string {
	c := &comparison{plan: plan, deploy: deploy, before: before, after: after}
	if plan.planned.Type == "" || deploy.end.Type == "" {
		return []string{fmt.Sprintf("plan said %q, deploy %q", plan.planned.Type, deploy.end.Type)}
	}
	c.lint()
	switch {
	case plan.planned.Outcome != "":
		c.refused()
	case deploy.end.Outcome == "rolled-back":
		c.rolledBack()
	default:
		c.done()
	}
	return c.wrong
}

type comparison struct {
	plan, deploy  said
	before, after picture
	wrong         []string
}

func (c *comparison) differs(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

func (c *comparison) lint() {
	if c.plan.planned.Outcome != "" && c.deploy.end.Outcome == "refused" {
		return // neither came so far
	}
	if !slices.Equal(c.plan.lint, c.deploy.lint) {
		c.differs("lint: plan %q, deploy %q", c.plan.lint, c.deploy.lint)
	}
}

// refused: the deploy is refused for the same reason, or comes to it before it changes anything.
func (c *comparison) refused() {
	p, d := c.plan.planned, c.deploy.end
	if c.plan.code != c.deploy.code && d.Outcome == "refused" || c.plan.code == 0 || p.Text == "" || c.deploy.code == 0 || d.Outcome != "refused" && d.Outcome != "failed" || !strings.Contains(d.Text, p.Text) {
		c.differs("plan: %s, exit %d: %s; deploy: %s: %s", p.Outcome, c.plan.code, p.Text, d.Outcome, d.Text)
	}
	c.same("log directories may be made before a check fails", func(path string) bool { return strings.HasPrefix(path, "/var/log/") })
}

// same wants all but some paths, and what runs, to be as before.
func (c *comparison) same(_ string, but func(path string) bool) {
	for path := range merged(c.before.paths, c.after.paths) {
		if c.before.paths[path] != c.after.paths[path] && !but(path) {
			c.differs("%s was %q, is %q", path, c.before.paths[path], c.after.paths[path])
		}
	}
	for unit, was := range c.before.units {
		for _, key := range []string{"LoadState", "UnitFileState"} {
			if is := c.after.units[unit][key]; is != was[key] {
				c.differs("%s of %s was %q, is %q", key, unit, was[key], is)
			}
		}
		if c.deploy.end.Outcome != "rolled-back" && was["InvocationID"] != c.after.units[unit]["InvocationID"] {
			c.differs("%s was restarted", unit)
		}
		if c.before.runs(unit) != c.after.runs(unit) {
			c.differs("%s runs: %v, before %v", unit, c.after.runs(unit), c.before.runs(unit))
		}
	}
}

// rolledBack: nothing of the release is left, and it failed where plans cannot see.
func (c *comparison) rolledBack() {
	other := c.deploy.failed == "" && strings.HasSuffix(c.deploy.end.Text, " failed at settle") // another service
	if c.deploy.failed != "settle" && c.deploy.failed != "verify" && !other {
		c.differs("it failed at %s, which the plan should have known", c.deploy.failed)
	}
	if !hasPrefix(c.planSteps(), c.deploy.steps) {
		c.differs("steps: planned %v, done %v", c.planSteps(), c.deploy.steps)
	}
	if got := c.deploy.end.Release; got != c.plan.planned.Current && digestPart(got) != digestPart(c.plan.planned.Current) && got != "" {
		c.differs("back on %q, planned %q", got, c.plan.planned.Current)
	}
	c.same("the log directory stays", func(path string) bool { return strings.HasPrefix(path, "/var/log/") })
}

func hasPrefix(list, prefix []string) bool {
	return len(prefix) <= len(list) && slices.Equal(list[:len(prefix)], prefix)
}

func digestPart(id string) string { return id[strings.LastIndexByte(id, '-')+1:] }

// planSteps are the steps of the plan's lines, each once.
func (c *comparison) planSteps() []string {
	var all []string
	for _, l := range c.plan.planned.Lines {
		if l.Step != "rollback" && !slices.Contains(all, l.Step) {
			all = append(all, l.Step)
		}
	}
	return all
}

// done: all that was planned, and nothing else.
func (c *comparison) done() {
	p := c.plan.planned
	if want := map[bool]string{true: "deployed", false: "unchanged"}[p.Changes]; c.deploy.end.Outcome != want {
		c.differs("the plan has changes: %v; the outcome is %s: %s", p.Changes, c.deploy.end.Outcome, c.deploy.end.Text)
	}
	if !slices.Equal(c.planSteps(), c.deploy.steps) {
		c.differs("steps: planned %v, done %v", c.planSteps(), c.deploy.steps)
	}
	if digestPart(p.Release) != digestPart(c.deploy.end.Release) {
		c.differs("release: planned %s, is %s", p.Release, c.deploy.end.Release)
	}
	expected := map[string]bool{}
	for _, f := range p.Files {
		expected[f.Path] = true
		if got := cmp.Or(c.before.paths[f.Path], "absent"); got != f.From.String() {
			c.differs("%s: plan says it was %s, it was %s", f.Path, f.From, got)
		}
		if got := cmp.Or(c.after.paths[f.Path], "absent"); got != f.To.String() {
			c.differs("%s: plan says it becomes %s, it is %s", f.Path, f.To, got)
		}
		if changed := f.From.String() != f.To.String(); changed != (f.Action != "keep") {
			c.differs("%s: the plan's action is %s", f.Path, f.Action)
		}
	}
	c.logs()
	enables := c.units()
	for path := range merged(c.before.paths, c.after.paths) {
		link := enables && strings.Contains(path, ".wants/") && c.before.paths[path] == ""
		if c.before.paths[path] != c.after.paths[path] && !expected[path] && !link && !strings.HasPrefix(path, "/var/log/") {
			c.differs("%s was not planned: it was %q, it is %q", path, c.before.paths[path], c.after.paths[path])
		}
	}
}

// logs holds the log directory against the lines of its step.
func (c *comparison) logs() {
	planned, changed := false, false
	for _, l := range c.plan.planned.Lines {
		planned = planned || l.Step == "log-setup" && l.Changes
	}
	for path := range merged(c.before.paths, c.after.paths) {
		changed = changed || strings.HasPrefix(path, "/var/log/") && c.before.paths[path] != c.after.paths[path]
	}
	if planned != changed {
		c.differs("log directory: change planned %v, happened %v", planned, changed)
	}
}

func (c *comparison) units() (enables bool) {
	for _, u := range c.plan.planned.Units {
		was, is := c.before.units[u.Unit], c.after.units[u.Unit]
		if was["InvocationID"] == is["InvocationID"] || !c.after.runs(u.Unit) {
			c.differs("%s was not started: %v, %v", u.Unit, was, is)
		}
		if (u.Start == "restart") != c.before.runs(u.Unit) {
			c.differs("%s: plan says %s, and before it was %s", u.Unit, u.Start, was["ActiveState"])
		}
		if u.Process != "" && (was["MainPID"] != u.Process || is["MainPID"] == u.Process) {
			c.differs("%s: plan ends process %s, which was %s, and is %s", u.Unit, u.Process, was["MainPID"], is["MainPID"])
		}
		if enabled := was["UnitFileState"] != "enabled" && is["UnitFileState"] == "enabled"; enabled != u.Enable {
			c.differs("%s: enable planned %v, UnitFileState was %q, is %q", u.Unit, u.Enable, was["UnitFileState"], is["UnitFileState"])
		}
		if kept := was["UnitFileState"]; !u.Enable && kept != "" && is["UnitFileState"] != kept {
			c.differs("%s: UnitFileState was %q, is %q", u.Unit, kept, is["UnitFileState"])
		}
		if read := strings.Fields(is["DropInPaths"]); !slices.Equal(slices.Sorted(slices.Values(u.DropIns)), slices.Sorted(slices.Values(read))) {
			c.differs("%s: plan says that drop-ins %q apply, systemd has %q", u.Unit, u.DropIns, read)
		}
		enables = enables || u.Enable
	}
	return enables
}

func merged(a, b map[string]string) map[string]bool {
	all := map[string]bool{}
	for _, m := range []map[string]string{a, b} {
		for k := range m {
			all[k] = true
		}
	}
	return all
}

func lineDiff(a, b []string) string {
	var lines []string
	for _, l := range a {
		if !slices.Contains(b, l) {
			lines = append(lines, "- "+l)
		}
	}
	for _, l := range b {
		if !slices.Contains(a, l) {
			lines = append(lines, "+ "+l)
		}
	}
	return strings.Join(lines, "\n")
}

// The test of the test: each planted difference is found.
func TestFidelityFindsDifferences(t *testing.T) {
	t.Parallel()
	g := embeddedGround(t, "252")
	p := &play{situation: situations[1], ground: g, name: "fxx", port: 9199, dir: t.TempDir()}
	if err := p.before(); err != nil {
		t.Fatal(err)
	}
	before, plan, deploy := p.look(), p.plan().of(p.name), p.deploy().of(p.name)
	after := p.look()
	if wrong := compare(plan, deploy, before, after); wrong != nil || len(plan.planned.Files) == 0 || len(plan.planned.Units) == 0 {
		t.Fatalf("nothing was planted: %v\n%s", wrong, p.evidence)
	}
	unit := "/etc/systemd/system/fxx.service"
	for name, plant := range map[string]func(plan, deploy *said, before, after picture){
		"outcome":     func(_, d *said, _, _ picture) { d.end.Outcome = "unchanged" },
		"step":        func(_, d *said, _, _ picture) { d.steps = d.steps[1:] },
		"release":     func(_, d *said, _, _ picture) { d.end.Release = "x-00000000" },
		"lint":        func(p, _ *said, _, _ picture) { p.lint = []string{"x"} },
		"file":        func(_, _ *said, _, a picture) { a.paths[unit] += "x" },
		"file before": func(_, _ *said, b, _ picture) { b.paths[unit] += "x" },
		"stray file":  func(_, _ *said, _, a picture) { a.paths["/etc/systemd/system/.seatrial-fxx.service.stage"] = "x" },
		"enabled":     func(_, _ *said, _, a picture) { a.units["fxx.service"]["UnitFileState"] = "disabled" },
		"not started": func(_, _ *said, b, a picture) {
			a.units["fxx.service"]["InvocationID"] = b.units["fxx.service"]["InvocationID"]
		},
		"drop-in": func(_, _ *said, _, a picture) { a.units["fxx.service"]["DropInPaths"] = "/x.conf" },
		"process": func(_, _ *said, b, _ picture) { b.units["fxx.service"]["MainPID"] = "1" },
		"refused": func(p, _ *said, _, _ picture) { p.planned.Outcome = "refused" },
		"restarted all the same": func(p, d *said, _, _ picture) {
			p.planned.Outcome, p.planned.Text, p.code, d.end.Outcome, d.code = "refused", "x", 4, "refused", 4
			d.end.Text = "x"
		},
		"back": func(_, d *said, _, _ picture) { d.end.Outcome, d.failed = "rolled-back", "settle" },
	} {
		plan, deploy, before, after := plan, deploy, before.clone(), after.clone()
		plant(&plan, &deploy, before, after)
		if compare(plan, deploy, before, after) == nil {
			t.Errorf("%s: the difference is not found", name)
		}
	}
}

func (s picture) clone() picture {
	c := picture{lines: s.lines, paths: map[string]string{}, units: map[string]map[string]string{}}
	for k, v := range s.paths {
		c.paths[k] = v
	}
	for u, properties := range s.units {
		c.units[u] = map[string]string{}
		for k, v := range properties {
			c.units[u][k] = v
		}
	}
	return c
}
