package steps

import (
	"strings"

	"github.com/seatrial/seatrial/remote"
)

// HealthCheck runs all checks of the inventory on the host, one request each, and reports every failure.
type HealthCheck struct{}

// Name implements Step.
func (HealthCheck) Name() string { return "health-check" }

// Effect implements Step.
func (HealthCheck) Effect() Effect { return Reads }

// Preview implements Step.
func (s HealthCheck) Preview(t Transaction) []Line {
	if len(t.Service.Checks) == 0 {
		return nil
	}
	var names []string
	for _, c := range t.Service.Checks {
		name := c.Name
		if c.Warning {
			name += " (warning)"
		}
		names = append(names, name)
	}
	return []Line{same(s, "run %d checks: %s", len(names), strings.Join(names, ", "))}
}

// Requests implements Step.
func (s HealthCheck) Requests(t Transaction) []remote.Request {
	var all []remote.Request
	for _, c := range t.Service.Checks {
		severity := "error"
		if c.Warning {
			severity = "warning"
		}
		args := []string{severity, c.Kind, seconds(c.Timeout), c.User, c.WorkingDirectory}
		args = append(args, c.Environment...)
		all = append(all, t.request(s.Name(), "check", append(args, c.Words...)...))
	}
	return all
}
