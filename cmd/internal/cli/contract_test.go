package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seatrial/seatrial/cmd/internal/ui"
	"github.com/seatrial/seatrial/plans"
)

// contract is what ui.JSONSchema promises, and what of it the scripts have seen so far.
type contract struct {
	raw   map[string]any // $defs
	types map[string]*jsonschema.Schema

	mu   sync.Mutex
	seen map[string]bool // TYPE, TYPE.FIELD, TYPE.FIELD.FIELD
}

var theContract = sync.OnceValues(readContract)

func readContract() (*contract, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(ui.JSONSchema))
	if err != nil {
		return nil, err
	}
	root := doc.(map[string]any)
	id := root["$id"].(string)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(id, doc); err != nil {
		return nil, err
	}
	c := &contract{raw: root["$defs"].(map[string]any), types: map[string]*jsonschema.Schema{}, seen: map[string]bool{}}
	for _, ref := range root["oneOf"].([]any) {
		at := ref.(map[string]any)["$ref"].(string)
		if c.types[strings.TrimPrefix(at, "#/$defs/")], err = compiler.Compile(id + at); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// line holds one line of output against the contract, and returns its type.
func (c *contract) line(text string) (string, error) {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return "", err
	}
	object, _ := value.(map[string]any)
	kind, _ := object["type"].(string)
	if c.types[kind] == nil {
		return "", fmt.Errorf("no type of the contract: %q", kind)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[kind] = true
	for _, path := range paths(object, kind) {
		c.seen[path] = true
	}
	return kind, c.types[kind].Validate(value)
}

// isEvent: it belongs to a run.
func (c *contract) isEvent(kind string) bool {
	return kind != "run" && slices.Contains(c.raw[kind].(map[string]any)["required"].([]any), any("run"))
}

// paths names the fields of a value, and those of objects in it.
func paths(value any, prefix string) []string {
	var all []string
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			all = append(all, paths(item, prefix)...)
		}
	case map[string]any:
		for name, field := range value {
			all = append(append(all, prefix+"."+name), paths(field, prefix+"."+name)...)
		}
	}
	return all
}

// promised names the fields of a type, and those of objects in it.
func (c *contract) promised(schema map[string]any, prefix string) []string {
	if items, ok := schema["items"].(map[string]any); ok {
		return c.promised(items, prefix)
	}
	var all []string
	properties, _ := schema["properties"].(map[string]any)
	for name, field := range properties {
		all = append(append(all, prefix+"."+name), c.promised(field.(map[string]any), prefix+"."+name)...)
	}
	slices.Sort(all)
	return all
}

// untested tells of types and fields that no script has seen.
func (c *contract) untested(w io.Writer) bool {
	found := false
	for _, kind := range sortedKeys(c.types) {
		for _, path := range append([]string{kind}, c.promised(c.raw[kind].(map[string]any), kind)...) {
			if !c.seen[path] {
				found = true
				_, _ = fmt.Fprintf(w, "no script's --json output has %s of the contract\n", path)
			}
		}
	}
	return found
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// contractFault holds the whole output of a command with --json against the contract: every line by itself, what is first
// and last, and what belongs together. It returns what is wrong.
func contractFault(stdout string, code int, past bool) string {
	c, err := theContract()
	if err != nil {
		return err.Error()
	}
	if stdout == "" && code == plans.ExitUsage {
		return "" // the words or the inventory were wrong: stderr says so
	}
	var events []plans.Event
	for i, line := range strings.Split(strings.TrimSuffix(stdout, "\n"), "\n") {
		kind, err := c.line(line)
		if err != nil {
			return fmt.Sprintf("line %d: %v\n%s", i+1, err, line)
		}
		if (kind == "version") != (i == 0) {
			return fmt.Sprintf("line %d is of type %s", i+1, kind)
		}
		if c.isEvent(kind) {
			var e plans.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				return fmt.Sprintf("line %d: %v: %s", i+1, err, line)
			}
			events = append(events, e)
		}
	}
	return disagreement(events, code, past)
}

// disagreement says what does not fit together in the events of one command. What is shown of a past run may be torn, and
// its exit code is the run's.
func disagreement(events []plans.Event, code int, past bool) string {
	if len(events) == 0 || past {
		return ""
	}
	first, last := events[0], events[len(events)-1]
	switch {
	case first.Type != plans.RunStarted:
		return "the first event is " + string(first.Type)
	case last.Type != plans.RunFinished:
		return "the last event is " + string(last.Type)
	case *last.ExitCode != code:
		return "run.finished has another exit code than the program"
	}
	open := map[string]bool{}
	finished := map[string]plans.HostResult{}
	for _, e := range events {
		step := e.Run + e.Host + "/" + e.Service + " " + e.Step
		switch e.Type {
		case plans.StepStarted:
			open[step] = true
		case plans.StepOutput:
			if !open[step] && e.Kind != plans.JournalLines && e.Kind != plans.Note {
				return "output of a step that is not being done: " + step
			}
		case plans.StepFinished:
			delete(open, step)
		case plans.HostFinished:
			finished[e.Host+"/"+e.Service] = plans.HostResult{Host: e.Host, Service: e.Service, Outcome: e.Outcome,
				Release: e.Release, Label: e.Label, Step: e.Step, Text: e.Text, Hint: e.Hint}
		case plans.RunFinished:
			for _, h := range e.Hosts {
				if diff := cmp.Diff(finished[h.Host+"/"+h.Service], h); diff != "" && len(finished) > 0 {
					return "host.finished and run.finished differ:\n" + diff
				}
			}
		}
	}
	for step := range open {
		return "never finished: " + step
	}
	return ""
}

// TestContract: the lists of the schema are those of the program, and every type says its own name and is closed.
func TestContract(t *testing.T) {
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range sortedKeys(c.types) {
		schema := c.raw[kind].(map[string]any)
		name := schema["properties"].(map[string]any)["type"].(map[string]any)["const"]
		if name != kind || schema["additionalProperties"] != false || !slices.Contains(schema["required"].([]any), any("type")) {
			t.Errorf("%s: the type is %v, not required, or open to more fields", kind, name)
		}
	}
	for _, kind := range constants(t, "EventType") {
		if c.types[kind] == nil {
			t.Errorf("no type %s in the schema", kind)
		}
	}
	lists := []struct {
		at   string
		want []string
	}{
		{"outcome", constants(t, "Outcome")},
		{"step.output kind", constants(t, "OutputKind")},
		{"step.finished status", constants(t, "Status")},
		{"exit-code", exitCodeNumbers(t)},
	}
	for _, l := range lists {
		if diff := cmp.Diff(sorted(l.want), sorted(c.list(l.at))); diff != "" {
			t.Errorf("%s (-program +schema):\n%s", l.at, diff)
		}
	}
	for _, p := range []plans.Plan{plans.Deploy(), plans.Rollback(), plans.Restart(), plans.Check(), plans.Hold(""), plans.Unlock(false)} {
		for _, step := range stepNames(p) {
			if !slices.Contains(c.list("step"), step) {
				t.Errorf("no step %s in the schema", step)
			}
		}
	}
}

// list is an enum of the schema: of `DEFINITION`, or of `TYPE FIELD`.
func (c *contract) list(at string) []string {
	name, field, _ := strings.Cut(at, " ")
	schema := c.raw[name].(map[string]any)
	if field != "" {
		schema = schema["properties"].(map[string]any)[field].(map[string]any)
	}
	var all []string
	for _, v := range schema["enum"].([]any) {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func exitCodeNumbers(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, c := range constants(t, "Exit") {
		_, number, _ := strings.Cut(c, "=")
		all = append(all, number)
	}
	return all
}

// TestContractCanFail: the harness sees what it is there for.
func TestContractCanFail(t *testing.T) {
	const version = `{"type":"version","version":1,"seatrial":"x"}` + "\n"
	const line = `{"type":"host.started","time":"2026-03-14T09:15:00Z","run":"20260314T091500Z-1a2b","host":"a","service":"s"}` + "\n"
	for name, out := range map[string]string{
		"nothing":             "",
		"text":                "done\n",
		"no version":          line,
		"two versions":        version + version,
		"unknown type":        version + `{"type":"odd"}`,
		"unknown field":       version + strings.Replace(line, `"host"`, `"odd":1,"host"`, 1),
		"missing field":       version + strings.Replace(line, `,"service":"s"`, ``, 1),
		"not a date":          version + strings.Replace(line, `2026-03-14T`, `yesterday`, 1),
		"not an outcome":      version + strings.Replace(strings.Replace(line, "host.started", "host.finished", 1), `"host"`, `"outcome":"fine","host"`, 1),
		"a run without start": version + line,
	} {
		if contractFault(out, 0, false) == "" {
			t.Errorf("%s: not noticed", name)
		}
	}
	if fault := contractFault(version, 0, false); fault != "" {
		t.Error(fault)
	}
}

// TestContractInReadme: the table of README.md has the types of the schema, and each row names every field of its type.
func TestContractInReadme(t *testing.T) {
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## JSON\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \| (.*) \|$`).FindAllStringSubmatch(section, -1) {
		for _, kind := range regexp.MustCompile("`([a-z.]+)`").FindAllStringSubmatch(row[1], -1) {
			rows[kind[1]] = row[2]
		}
	}
	if diff := cmp.Diff(sortedKeys(c.types), sortedKeys(rows)); diff != "" {
		t.Errorf("types (-schema +README):\n%s", diff)
	}
	for _, kind := range sortedKeys(c.types) {
		for _, path := range c.promised(c.raw[kind].(map[string]any), kind) {
			field := path[strings.LastIndex(path, ".")+1:]
			if always := field == "type" || c.isEvent(kind) && (field == "time" || field == "run"); !always && !strings.Contains(rows[kind], "`"+field+"`") {
				t.Errorf("README.md does not name %s", path)
			}
		}
	}
}
