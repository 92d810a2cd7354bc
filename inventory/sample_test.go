package inventory

import (
	"strings"
	"testing"
	"time"
)

// The first thing anyone tries is the inventory in the root, so it must work.
func TestRootInventory(t *testing.T) {
	inventory, err := Read("../inventory.toml")
	if err != nil {
		t.Fatal(err)
	}
	service, err := inventory.Service("whit")
	if err != nil {
		t.Fatal(err)
	}
	if len(service.Units) != 1 || service.Units[0].Name != "whit.service" {
		t.Errorf("units: %v", service.Units)
	}
	if service.Logs == nil || service.Logs.Logrotate == nil || service.Logs.Logrotate.Target != "/etc/logrotate.d/whit" {
		t.Errorf("logs: %+v", service.Logs)
	}
	if service.Settle.Window != 15*time.Second || len(service.Verify.Listen) != 1 || len(service.Verify.HTTP) != 1 {
		t.Errorf("settle and verify: %+v %+v", service.Settle, service.Verify)
	}
}

// The nine checks are what the first user wants to know before anything changes.
func TestRootInventoryChecks(t *testing.T) {
	inventory, err := Read("../inventory.toml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, check := range inventory.Services[0].Checks {
		names = append(names, check.Name)
		if (check.Severity == SeverityWarning) != (check.File == "/var/www/whit/backend/.env") {
			t.Errorf("%s: severity %s", check.Name, check.Severity)
		}
		if check.Command != nil && (check.User != "www-data" || len(check.Environment) != 1 || check.Environment[0] != Variable{"DJANGO_SETTINGS_MODULE", "whit.settings"}) {
			t.Errorf("%s: runs as %q with %v", check.Name, check.User, check.Environment)
		}
	}
	const want = "backend directory, virtualenv, manage.py, environment file, django system checks, database connection, " +
		"migrations applied, WSGI application loads, gunicorn installed"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("got %s", got)
	}
}

func TestRootInventoryEnvironments(t *testing.T) {
	inventory, err := Read("../inventory.toml")
	if err != nil {
		t.Fatal(err)
	}
	staging, err := inventory.Environment("staging")
	if err != nil {
		t.Fatal(err)
	}
	canaries, err := staging.Select("@" + staging.Rollout.Canary.Tag)
	if err != nil || len(canaries) != 1 || len(staging.Hosts) != 2 || staging.Confirm {
		t.Errorf("staging: %+v %v", staging, err)
	}
	production, err := inventory.Environment("production")
	if err != nil || !production.Confirm || len(production.Hosts) < 3 || production.Rollout.Canary.Count != 1 {
		t.Errorf("production: %+v %v", production, err)
	}
}
