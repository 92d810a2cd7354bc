package plans

import (
	"context"
	"fmt"
	"strings"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/steps"
)

// require refuses what has not been committed on every host of the environments that the order requires. They are only
// looked at, and their hosts are none of this run's: no event tells of them.
func (r *Run) require(ctx context.Context) {
	if len(r.alive()) == 0 {
		return
	}
	quiet := *r.runner
	quiet.Emit = func(Event) {}
	for _, environment := range r.Order.Require {
		seen := quiet.Survey(ctx, Order{Plan: Look("require"), Environment: environment, Hosts: environment.Hosts, Services: r.Order.Services})
		for _, l := range r.alive() {
			if lack := seen.lack(l.tx.Service); lack != nil {
				l.refusedFor(environment, lack)
			}
		}
		seen.Close()
	}
}

func (l *lane) refusedFor(environment *inventory.Environment, lack []string) {
	l.failure = &failure{step: "facts", hint: "seatrial deploy " + environment.Name,
		text: fmt.Sprintf("the release is not committed on every host of %s, which is required: %s", environment.Name, strings.Join(lack, "; "))}
	l.end(Refused)
}

// lack names the hosts on which these files have not been committed, and what is there instead; nil: they are everywhere.
func (r *Run) lack(s steps.Service) []string {
	var all []string
	found := false
	for _, l := range r.lanes {
		if l.tx.Service.Name != s.Name {
			continue
		}
		found = true
		switch {
		case l.result.Outcome != "":
			all = append(all, fmt.Sprintf("%s is %s (%s)", l.host.Name, l.result.Outcome, l.result.Text))
		case !history(l.tx.Facts.Releases).committed(s.Files) && l.tx.Current == "":
			all = append(all, l.host.Name+" has no release of seatrial's")
		case !history(l.tx.Facts.Releases).committed(s.Files):
			all = append(all, fmt.Sprintf("%s has %s", l.host.Name, l.tx.Current))
		}
	}
	if !found {
		return []string{"no host there runs service " + s.Name}
	}
	return all
}

// committed reports whether a release with these files has been committed, and has not failed since.
func (h history) committed(files []steps.File) bool {
	last := map[string]string{}
	for _, p := range h {
		last[p.ID] = p.Outcome
	}
	for _, p := range h {
		if p.Matches(files) && last[p.ID] == steps.Committed {
			return true
		}
	}
	return false
}
