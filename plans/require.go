package plans

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seatrial/seatrial/steps"
)

// require looks whether every host of the required environments has committed what the run is about. They are only looked
// at, and no event tells of them. It comes before the run's own hosts, whose lanes are refused for it each time that they
// are looked at: waiting for another run is no way around.
func (r *Run) require(ctx context.Context) {
	quiet := *r.runner
	quiet.Emit = func(Event) {}
	for _, e := range r.Order.Require {
		run := quiet.Survey(ctx, Order{Plan: Look("require"), Environment: e, Hosts: e.Hosts, Services: r.Order.Services})
		all := run.Facts()
		run.Close()
		for _, s := range r.Order.Services {
			if why := lacking(all, stepsService(s)); why != "" {
				r.lacking[s.Name] = append(r.lacking[s.Name], steps.Refusal{
					Text: fmt.Sprintf("the release is not committed on every host of %s, which is required: %s", e.Name, why), Hint: "seatrial deploy " + e.Name})
			}
		}
	}
}

// lacking says which hosts have not committed this release of the service, and what they have; empty: all have.
func lacking(all []HostFacts, s steps.Service) string {
	var reasons []string
	found := false
	hosts := map[string][]string{}
	for _, h := range all {
		if h.Service != s.Name {
			continue
		}
		found = true
		if why := h.lacks(s.Files); why != "" {
			if hosts[why] == nil {
				reasons = append(reasons, why)
			}
			hosts[why] = append(hosts[why], h.Host)
		}
	}
	if !found {
		return "no host there runs service " + s.Name
	}
	for i, why := range reasons {
		reasons[i] = some(hosts[why]) + ": " + why
	}
	return strings.Join(reasons, "; ")
}

// lacks is empty when the newest word of the host on these files is that they were committed. They need not be installed
// now: a later release may be.
func (h HostFacts) lacks(files []steps.File) string {
	if h.Text != "" {
		return fmt.Sprintf("%s, %s", h.Outcome, h.Text)
	}
	has := "no release of seatrial's is installed"
	if h.Release != "" {
		has = h.Release + " is installed"
	}
	if h.Label != "" {
		has = fmt.Sprintf("%s (%s) is installed", h.Release, h.Label)
	}
	for _, p := range slices.Backward(h.Releases) {
		if !p.Matches(files) {
			continue
		}
		switch p.Outcome {
		case steps.Committed:
			return ""
		case steps.RolledBack:
			return "it was rolled back, and " + has
		}
		return "it was found there and never committed; " + has
	}
	return has
}

// some names the first of many hosts.
func some(hosts []string) string {
	const most = 5
	if more := len(hosts) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(hosts[:most], ", "), more)
	}
	return strings.Join(hosts, ", ")
}
