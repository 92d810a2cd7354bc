package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/steps"
)

// Check shows a run of checks for whoever only wants to know whether all is well: one line when it is, else what is not.
type Check struct {
	Out   io.Writer
	Style Style
	Live  io.Writer // a terminal, for what is being done now; nil: nothing is shown before the end
	Steps Display   // shows every step as it is done; nil: nobody does

	environment string
	said        map[string][]plans.Event // by lane: checks that did not pass
}

// Event implements Display.
func (c *Check) Event(e plans.Event) {
	if c.Steps != nil {
		c.Steps.Event(e)
	}
	switch e.Type {
	case plans.RunStarted:
		c.environment, c.said = e.Environment, map[string][]plans.Event{}
	case plans.StepStarted:
		c.live(c.Style.dim(fmt.Sprintf("  %-13s %s ...", e.Step, e.Host)))
	case plans.StepOutput:
		if e.Kind == plans.CheckBad || e.Kind == plans.CheckHmm {
			key := e.Host + "/" + e.Service
			c.said[key] = append(c.said[key], e)
		}
	case plans.RunFinished:
		c.live("")
		c.report(e)
	}
}

func (c *Check) live(text string) {
	if c.Live != nil {
		_, _ = fmt.Fprint(c.Live, "\r\x1b[K"+text)
	}
}

// report is the result: a line, and below it what is not well.
func (c *Check) report(e plans.Event) {
	var hosts, ill, services []string
	for _, h := range e.Hosts {
		hosts, services = add(hosts, h.Host), add(services, h.Service)
		if h.Outcome != plans.Unchanged {
			ill = add(ill, h.Host)
		}
	}
	var failed, warned fold
	for _, h := range e.Hosts {
		c.lane(h, len(services) > 1, &failed, &warned)
	}
	warnings := ""
	if n := len(warned.entries); n > 0 {
		warnings = ", with " + plural(n, "warning")
	}
	switch {
	case len(hosts) == 0:
		c.print("%s: nothing to check: no host runs this service\n", c.environment)
	case len(ill) == 0:
		c.print("%s: %s well: %s%s\n", c.environment, plural(len(hosts), "host"), strings.Join(services, ", "), warnings)
	default:
		c.print("%s: %d of %s not well: %s%s\n", c.environment, len(ill), plural(len(hosts), "host"), strings.Join(services, ", "), warnings)
	}
	c.entries(failed, len(e.Hosts))
	c.entries(warned, len(e.Hosts))
}

// lane adds what one service on one host has to say.
func (c *Check) lane(h plans.HostResult, several bool, failed, warned *fold) {
	name := h.Host
	if several {
		name += "/" + h.Service
	}
	for _, e := range c.said[h.Host+"/"+h.Service] {
		entry := "\x00  at " + e.Step + ": " + e.Check + "\n" + indent("    ", tail(Clean(e.Text)))
		if e.Kind == plans.CheckHmm {
			warned.add(c.Style.warn(fmt.Sprintf("%-15s", "warning"))+entry, name)
		} else {
			failed.add(outcomeWord(c.Style, h.Outcome)+entry, name)
		}
	}
	if h.Outcome == plans.Unchanged || h.Step == (steps.HealthCheck{}).Name() && h.Outcome == plans.FailedHost {
		return // nothing is wrong, or its checks have said what
	}
	failed.add(outcomeWord(c.Style, h.Outcome)+"\x00"+Clean(resultText(h))+"\n"+hintLine(h.Hint), name)
}

func (c *Check) entries(f fold, all int) {
	for _, entry := range f.entries {
		word, text, _ := strings.Cut(entry, "\x00")
		c.print("%s  %s%s", word, everyName(f.who[entry], all), text)
	}
}

func (c *Check) print(format string, args ...any) { _, _ = fmt.Fprintf(c.Out, format, args...) }

func hintLine(hint string) string {
	if hint == "" {
		return ""
	}
	return "    hint: " + Clean(hint) + "\n"
}

func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
