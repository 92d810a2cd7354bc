package inventory

import (
	"bytes"
	"fmt"
	"time"
)

// hostSpan is the range of everything a host waits for.
var hostSpan = span{time.Second, time.Hour, time.Second}

// minSettle is long enough to see a service that dies some eight seconds after its start.
const minSettle = 10 * time.Second

// service reads one [services.NAME].
func (t *table) service(name string) *Service {
	service := &Service{Name: name}
	service.Units = t.units()
	service.Instances = t.instances(service.Units)
	service.StartTimeout = t.duration("start_timeout", 30*time.Second, hostSpan)
	service.RefuseDrift = t.flag("refuse_drift", false)
	if logs, ok := t.table("logs"); ok {
		service.Logs = logs.logs(name)
	}
	service.Checks = t.checks()
	settle, _ := t.table("settle")
	service.Settle = settle.settle()
	verify, _ := t.table("verify")
	service.Verify = verify.verify()
	t.finish()
	return service
}

// units reads unit = "..." or units = [...].
func (t *table) units() []Unit {
	single, several := t.has("unit"), t.has("units")
	if single && several {
		t.problem("unit", "both unit and units", "keep units = [...] and put all of them there")
	}
	if !single && !several {
		t.missing("unit", `write unit = "NAME.service", a file relative to the inventory`)
	}
	var units []Unit
	if name := t.text("unit", "", lineRule, filledRule); name != "" {
		units = t.addUnit(units, t.keyLine("unit"), name)
	}
	for i, value := range t.array("units", `["web.service", "worker.service"]`) {
		name, ok := value.(string)
		if !ok {
			t.wrongType(t.itemLine("units", i), "units", value, "a string", "write the path of a unit file")
			continue
		}
		if t.obeys(t.itemLine("units", i), "units", name, []rule{lineRule, filledRule}) {
			units = t.addUnit(units, t.itemLine("units", i), name)
		}
	}
	if values, ok := t.values["units"].([]any); ok && len(values) == 0 {
		t.problem("units", "units is empty", `write units = ["web.service", "worker.service"]`)
	}
	return units
}

func (t *table) addUnit(units []Unit, line int, name string) []Unit {
	unit, ok := t.unit(line, name)
	if !ok {
		return units
	}
	for _, other := range units {
		if other.Name == unit.Name {
			t.problemAt(line, fmt.Sprintf("unit %s comes twice", quote(unit.Name)), "units of one service have different base names")
			return units
		}
	}
	return append(units, unit)
}

// instances reads the instances of the template units and gives them to each.
func (t *table) instances(units []Unit) []string {
	instances := t.names("instances", instanceRule)
	template := ""
	for i := range units {
		if isTemplate(units[i].Name) {
			template = units[i].Name
			units[i].Instances = instances
			t.instanceLengths(units[i].Name, instances)
		}
	}
	switch {
	case template != "" && len(instances) == 0:
		t.problem("instances", fmt.Sprintf("%s is a template and has no instances", template), `write instances = ["1", "2"]`)
	case template == "" && len(units) > 0 && t.has("instances"):
		t.problem("instances", "instances without a template unit", "leave them out, or name the unit NAME@.service")
	}
	return instances
}

// instanceLengths keeps the whole name within what systemd accepts.
func (t *table) instanceLengths(template string, instances []string) {
	const most = 255
	for _, instance := range instances {
		if name := instanceName(template, instance); len(name) > most {
			t.problem("instances", fmt.Sprintf("%s is too long a unit name", quote(name)), fmt.Sprintf("keep it within %d bytes", most))
		}
	}
}

// logs reads [services.NAME.logs].
func (t *table) logs(service string) *Logs {
	logs := &Logs{
		Directory: t.required("directory", "/var/log/"+service, hostPathRule, logDirectoryRule),
		Owner:     t.text("owner", "root", userRule),
		Group:     t.text("group", "root", userRule),
		Mode:      t.text("mode", "0755", modeRule),
	}
	if len(logs.Mode) == 3 {
		logs.Mode = "0" + logs.Mode
	}
	if name := t.text("logrotate", "", lineRule, filledRule); name != "" {
		logs.Logrotate = t.logrotate(name, "/etc/logrotate.d/"+service)
	}
	t.finish()
	return logs
}

// logrotate reads the companion that rotates the logs. One that rotates nothing would
// fill a disk in silence.
func (t *table) logrotate(name, target string) *File {
	path, content, ok := t.file(t.keyLine("logrotate"), "logrotate", name)
	if !ok {
		return nil
	}
	open, end := bytes.IndexByte(content, '{'), bytes.LastIndexByte(content, '}')
	if open < 0 || end < open {
		t.add(Problem{File: path, Message: "not a logrotate file: no { } block", Hint: "write /var/log/NAME/*.log { weekly ... }"})
		return nil
	}
	return &File{Path: path, Target: target, Content: content, Digest: digest(content)}
}

// settle reads [services.NAME.settle].
func (t *table) settle() Settle {
	short := t.flag("allow_short", false)
	window := t.duration("window", 15*time.Second, hostSpan)
	if window < minSettle && !short {
		t.problem("window", fmt.Sprintf("window %s is too short to see a service that dies soon after its start", shortDuration(window)),
			fmt.Sprintf(`write window = %q or more, or add allow_short = true`, shortDuration(minSettle)))
	}
	t.finish()
	return Settle{Window: window}
}

// verify reads [services.NAME.verify].
func (t *table) verify() Verify {
	verify := Verify{
		Listen:  t.names("listen", listenRule),
		Timeout: t.duration("timeout", 30*time.Second, hostSpan),
	}
	for _, request := range t.tables("http") {
		verify.HTTP = append(verify.HTTP, request.http())
	}
	t.finish()
	return verify
}

func (t *table) http() HTTP {
	request := HTTP{
		URL:      t.required("url", "http://127.0.0.1:8003/healthz/", urlRule),
		Status:   t.number("status", 200, bounds{100, 599}),
		Contains: t.text("contains", ""),
	}
	t.finish()
	return request
}
