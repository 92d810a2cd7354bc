package sshtest

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// showUnits prints properties in an order of its own, and leaves out those it does not know.
func (c *call) showUnits(r request) error {
	if len(r.units) == 0 {
		c.print(r, c.h.systemd.properties())
		return nil
	}
	for i, name := range r.units {
		if i > 0 {
			c.out("\n")
		}
		c.print(r, c.h.systemd.find(name).properties())
	}
	return nil
}

type property struct{ name, value string }

func (c *call) print(r request, all []property) {
	for _, p := range all {
		switch {
		case len(r.properties) > 0 && !slices.Contains(r.properties, p.name):
		case r.value:
			c.out("%s\n", p.value)
		default:
			c.out("%s=%s\n", p.name, p.value)
		}
	}
}

// properties of the manager itself.
func (m *manager) properties() []property {
	list := []property{{"Version", strconv.Itoa(m.h.options.Systemd)}, {"SystemState", "running"}}
	if m.h.options.Systemd >= 254 {
		list = append(list, property{"SoftRebootsCount", strconv.Itoa(m.soft)})
	}
	return list
}

func (u *unit) properties() []property {
	list := []property{}
	if path.Ext(u.name) == ".service" {
		list = u.serviceProperties()
	}
	return append(list, u.unitProperties()...)
}

func (u *unit) serviceProperties() []property {
	f := u.file
	restart := f.last("Service.Restart")
	if restart == "" {
		restart = "no"
	}
	kind := f.serviceType()
	if u.load == "not-found" {
		kind = ""
	}
	return []property{
		{"Type", kind},
		{"Restart", restart},
		{"RestartUSec", span(f.restartDelay())},
		{"TimeoutStartUSec", span(f.duration("Service.TimeoutStartSec", 90*time.Second))},
		{"NRestarts", strconv.Itoa(u.restarts)},
		{"MainPID", strconv.Itoa(u.pid)},
		{"Result", u.result},
		{"ExecMainPID", strconv.Itoa(u.pid)},
		{"ExecMainCode", strconv.Itoa(u.code)},
		{"ExecMainStatus", strconv.Itoa(u.status)},
		{"ControlGroup", u.group()},
	}
}

func (u *unit) unitProperties() []property {
	list := []property{
		{"Id", u.name},
		{"Names", u.name},
		{"TriggeredBy", u.triggeredBy()},
		{"Description", u.title()},
		{"LoadState", u.load},
		{"ActiveState", u.active},
		{"SubState", u.sub},
		{"FragmentPath", u.fragment()},
		{"DropInPaths", strings.Join(u.file.dropIns, " ")},
		{"UnitFileState", u.fileState()},
		{"ActiveEnterTimestamp", u.timestamp()},
		{"ActiveEnterTimestampMonotonic", strconv.FormatInt(u.entered.Microseconds(), 10)},
		{"NeedDaemonReload", yesNo(u.stale())},
		{"InvocationID", u.invocation},
	}
	waiting := ""
	if u.job != nil {
		waiting = strconv.Itoa(u.job.id)
	}
	list = append(list, property{"Job", waiting})
	if u.load == "bad-setting" {
		list = append(list, property{"LoadError", `org.freedesktop.systemd1.BadUnitSetting "` + u.file.problem(u.name) + `"`})
	}
	return list
}

func (u *unit) fragment() string {
	if u.load == "not-found" {
		return ""
	}
	if u.load == "masked" && u.m.h.options.Systemd < 250 {
		return "/dev/null"
	}
	return u.file.fragment
}

func (u *unit) triggeredBy() string {
	var names []string
	base := strings.TrimSuffix(u.name, path.Ext(u.name))
	for _, suffix := range []string{".path", ".socket", ".timer"} {
		if where, _ := u.m.h.tree.locate(base + suffix); where != "" && path.Ext(u.name) == ".service" {
			names = append(names, base+suffix)
		}
	}
	return strings.Join(names, " ")
}

func (u *unit) timestamp() string {
	if u.entered == 0 {
		return ""
	}
	return u.m.h.clock.booted.Add(u.entered).UTC().Format("Mon 2006-01-02 15:04:05 MST")
}

// group is the unit's cgroup, while it has processes.
func (u *unit) group() string {
	if u.pid == 0 {
		return ""
	}
	return "/system.slice/" + u.name
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// span prints a time as systemd does: 100ms, 5s, 1min 30s.
func span(d time.Duration) string {
	if d >= forever/4 {
		return "infinity"
	}
	var words []string
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.size; n > 0 {
			words = append(words, strconv.Itoa(int(n))+unit.name)
			d -= n * unit.size
		}
	}
	if len(words) == 0 {
		return "0"
	}
	return strings.Join(words, " ")
}
