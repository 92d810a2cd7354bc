package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatrial/seatrial/plans"
	"github.com/seatrial/seatrial/steps"
)

// fiftyHosts runs one service; change is told of each host's facts.
func fiftyHosts(change func(i int, h *plans.HostFacts)) []StatusRow {
	var all []plans.HostFacts
	for i := 1; i <= 50; i++ {
		h := plans.HostFacts{Host: fmt.Sprintf("web-%02d", i), Service: "app", Units: []string{"app.service"}, Release: "20260314T091500Z-aaaaaaaa"}
		h.Facts.Units = map[string]map[string]string{"app.service": {"LoadState": "loaded", "ActiveState": "active", "SubState": "running",
			"Result": "success", "NRestarts": "0", "ActiveEnterTimestamp": fmt.Sprintf("Sat 2026-03-14 09:15:%02d UTC", i)}}
		change(i, &h)
		all = append(all, h)
	}
	return StatusRows(all)
}

// TestStatusOfFiftyHosts reads in one screen: alike hosts are one entry, worst first, the well ones last.
func TestStatusOfFiftyHosts(t *testing.T) {
	rows := fiftyHosts(func(i int, h *plans.HostFacts) {
		unit := h.Facts.Units["app.service"]
		switch i {
		case 7, 9:
			*h = plans.HostFacts{Host: h.Host, Service: h.Service, Outcome: plans.Unreachable, Text: "connect: no route\x1b[2J", Hint: "look"}
		case 11:
			unit["ActiveState"], unit["SubState"], unit["Result"], unit["NRestarts"] = "failed", "failed", "exit-code", "5"
		case 12:
			unit["LoadState"], unit["ActiveState"], unit["SubState"] = "not-found", "inactive", "dead"
			h.Release = ""
		case 20, 21:
			h.Facts.BootID, h.Facts.Uptime = "b", 100
			h.Facts.Record = steps.Record{State: "TRIAL", Owner: "me@here", Boot: "b", Deadline: 120 + i}
		case 30, 31:
			unit["NRestarts"] = fmt.Sprint(i - 28)
		case 40:
			h.Release = "20260313T091500Z-bbbbbbbb"
		case 41: // the same files, deployed later
			h.Release = "20260315T091500Z-aaaaaaaa"
		}
	})
	rows[44].Drift = []string{"app.service was edited"}
	want := `unreachable    web-07, web-09  app  connect: no route?[2J
    hint: look
failed         web-11  app  20260314T091500Z-aaaaaaaa
    app.service failed/failed, Result=exit-code, restarted 5 times
not active     web-12  app  no release of seatrial's
    app.service inactive/dead (not-found)
    other hosts have 20260314T091500Z-aaaaaaaa, 20260315T091500Z-aaaaaaaa
locked         web-20, web-21  app  20260314T091500Z-aaaaaaaa
    the lease is held by me@here, for 41 s more unless it is renewed (TRIAL)
restarted      web-30, web-31  app  20260314T091500Z-aaaaaaaa
    app.service active/running, restarted 2 to 3 times, since 2026-03-14T09:15:30Z .. 2026-03-14T09:15:31Z
drift          web-45  app  20260314T091500Z-aaaaaaaa
    drift: app.service was edited
other release  web-40  app  20260313T091500Z-bbbbbbbb
    other hosts have 20260314T091500Z-aaaaaaaa, 20260315T091500Z-aaaaaaaa
well           web-01, web-02, web-03, web-04, web-05 and 35 more  app  20260314T091500Z-aaaaaaaa, 20260315T091500Z-aaaaaaaa  since 2026-03-14T09:15:01Z .. 2026-03-14T09:15:50Z
50 hosts: 2 unreachable, 1 failed, 1 not active, 2 locked, 2 restarted, 1 drift, 1 other release, 40 well
`
	var b bytes.Buffer
	Status(&b, Style{}, rows)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestStatusOfAlikeHosts: starts at different times make no two entries.
func TestStatusOfAlikeHosts(t *testing.T) {
	var b bytes.Buffer
	Status(&b, Style{}, fiftyHosts(func(int, *plans.HostFacts) {}))
	if n := strings.Count(b.String(), "\n"); n != 2 || !strings.HasPrefix(b.String(), "well           50 hosts  app  ") {
		t.Errorf("%d lines:\n%s", n, &b)
	}
}

func TestStatusRows(t *testing.T) {
	row := StatusRow{}.of("u", map[string]string{"LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead", "Type": "oneshot",
		"Result": "success", "NRestarts": "", "ActiveEnterTimestamp": ""})
	if !row.well || row.Since != nil || row.Restarts != nil {
		t.Errorf("a oneshot that has done its work: %+v", row)
	}
	row = StatusRow{}.of("u", map[string]string{"LoadState": "masked", "ActiveState": "active", "SubState": "running", "Result": "success",
		"NRestarts": "1", "ActiveEnterTimestamp": "Sat 2026-03-14 09:15:01 UTC"})
	if row.well || row.Active != "active/running (masked)" || !row.Since.Equal(time.Date(2026, 3, 14, 9, 15, 1, 0, time.UTC)) {
		t.Errorf("a masked unit that runs: %+v", row)
	}
}
