package plans

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatrial/seatrial/inventory"
	"github.com/seatrial/seatrial/steps"
)

// A Saved plan is a preview that was put away to be applied later: exactly it, on exactly its hosts, with its bytes, or not
// at all. It holds what the inventory and the unit files hold, and no key, password or token. Its file is canonical: the
// same plan is the same bytes. The JSON names are public.
type Saved struct {
	Type        string                `json:"type"` // seatrial.plan
	Version     int                   `json:"version"`
	Digest      string                `json:"digest"` // SHA-256, hex, of this document with an empty digest
	Created     time.Time             `json:"created"`
	Owner       string                `json:"owner"`    // who saved it, from where
	Seatrial    string                `json:"seatrial"` // version of the program
	Plan        string                `json:"plan"`
	Label       string                `json:"label,omitempty"`
	Environment inventory.Environment `json:"environment"` // with the hosts of the plan; how to log in is not in it
	Services    []*inventory.Service  `json:"services"`
	Hosts       []SavedHost           `json:"hosts"`
}

// SavedHost is one service on one host as the plan saw it.
type SavedHost struct {
	Host    string            `json:"host"`
	Service string            `json:"service"`
	Release string            `json:"release"`
	Was     map[string]string `json:"was"` // what must not have moved, by field
	Preview HostPreview       `json:"preview"`
}

const (
	savedType    = "seatrial.plan"
	savedVersion = 1
)

// Save makes a plan of what was surveyed. Hosts without a user of their own get this login. A run with a host that cannot
// be deployed to cannot be saved.
func (r *Run) Save(seatrial, login string) (*Saved, error) {
	o := r.Order
	s := &Saved{Type: savedType, Version: savedVersion, Created: r.since.UTC().Truncate(time.Second), Owner: r.runner.Owner, Seatrial: seatrial,
		Plan: Deploy().Name, Label: o.Label, Environment: *o.Environment}
	s.Environment.Hosts = nil
	for _, h := range o.Hosts {
		host := *h
		host.User = cmp.Or(h.User, login)
		s.Environment.Hosts = append(s.Environment.Hosts, &host)
	}
	needed := map[string]bool{}
	for _, l := range r.lanes {
		if l.result.Outcome != "" {
			return nil, fmt.Errorf("the plan is not saved: %s is %s", l.host.Name, l.result.Outcome)
		}
		needed[l.tx.Service.Name] = true
		s.Hosts = append(s.Hosts, SavedHost{l.host.Name, l.tx.Service.Name, l.tx.Release, seen(l.tx), l.preview(o.Plan)})
	}
	for _, service := range o.Services {
		if needed[service.Name] {
			s.Services = append(s.Services, service)
		}
	}
	s.Digest = s.digest()
	return s, nil
}

func (s *Saved) digest() string {
	unsigned := *s
	unsigned.Digest = ""
	sum := sha256.Sum256(unsigned.bytes())
	return hex.EncodeToString(sum[:])
}

func (s *Saved) bytes() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(s) // strings, numbers and lists of them: nothing that JSON has no form for
	return b.Bytes()
}

// Write puts the plan into a file, wholly or not at all. Only its owner can read it.
func (s *Saved) Write(name string) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".seatrial-plan-*")
	if err != nil {
		return fmt.Errorf("save the plan: %w", err)
	}
	_, err = file.Write(s.bytes())
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("save the plan: %w", errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// maxSaved is far beyond any plan.
const maxSaved = 256 << 20

// IsSaved reports whether a file begins as a saved plan does.
func IsSaved(name string) bool {
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	head := make([]byte, 64)
	n, _ := file.Read(head)
	return strings.Contains(string(head[:n]), `"type": "`+savedType+`"`)
}

// ReadSaved reads a plan back. One that was changed since, in any way, is an error.
func ReadSaved(name string) (*Saved, error) {
	info, err := os.Stat(name)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxSaved) {
		err = errors.New("it is no file that seatrial wrote")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("saved plan %s: %w", name, err)
	}
	s, err := parseSaved(text)
	if err != nil {
		return nil, fmt.Errorf("saved plan %s: %w", name, err)
	}
	return s, nil
}

func parseSaved(text []byte) (*Saved, error) {
	var kind struct {
		Type    string
		Version int
	}
	if json.Unmarshal(text, &kind) != nil || kind.Type != savedType {
		return nil, errors.New("it is no plan that seatrial plan --out has saved")
	}
	if kind.Version != savedVersion {
		return nil, fmt.Errorf("it is of version %d, which this seatrial does not know: use a newer one", kind.Version)
	}
	s := &Saved{}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("it was changed since it was saved: %w", err)
	}
	if !bytes.Equal(s.bytes(), text) || s.digest() != s.Digest {
		return nil, errors.New("it was changed since it was saved: the digest does not fit")
	}
	return s, s.check()
}

// check holds what a plan says twice against each other, and what becomes a path on a host against what it may be.
func (s *Saved) check() error {
	known := map[string]bool{}
	for _, service := range s.Services {
		if service == nil {
			return errors.New("it has an empty service")
		}
		for _, u := range service.Units {
			if path.Base(u.Name) != u.Name || digestOf(u.Content) != u.Digest {
				return fmt.Errorf("unit %q of service %s is not what its digest says", u.Name, service.Name)
			}
		}
		if l := service.Logs; l != nil && l.Logrotate != nil && digestOf(l.Logrotate.Content) != l.Logrotate.Digest {
			return fmt.Errorf("the logrotate file of service %s is not what its digest says", service.Name)
		}
		known[service.Name] = true
	}
	hosts := map[string]bool{}
	for _, h := range s.Environment.Hosts {
		if h == nil {
			return errors.New("it has an empty host")
		}
		hosts[h.Name] = true
	}
	for _, h := range s.Hosts {
		if !hosts[h.Host] || !known[h.Service] {
			return fmt.Errorf("it names service %s on host %s, and does not say what these are", h.Service, h.Host)
		}
	}
	return nil
}

// Order is what applying the plan is.
func (s *Saved) Order() Order {
	return Order{Plan: Deploy(), Environment: &s.Environment, Hosts: s.Environment.Hosts, Services: s.Services, Label: s.Label, Saved: s}
}

// Previews are what the plan showed when it was saved.
func (s *Saved) Previews() []HostPreview {
	var all []HostPreview
	for _, h := range s.Hosts {
		all = append(all, h.Preview)
	}
	return all
}

func (s *Saved) host(host, service string) (SavedHost, bool) {
	i := slices.IndexFunc(s.Hosts, func(h SavedHost) bool { return h.Host == host && h.Service == service })
	if i < 0 {
		return SavedHost{}, false
	}
	return s.Hosts[i], true
}

// seen is what a plan relies on, by field. Reboots, processes and times are not in it.
func seen(t steps.Transaction) map[string]string {
	all := map[string]string{
		"machine-id":                       t.Facts.Machine,
		"systemd":                          strconv.Itoa(t.Facts.Systemd),
		"current release":                  cmp.Or(t.Current, "none of seatrial's"),
		"release that was committed last":  cmp.Or(t.Last.ID, "none"),
		"transaction that is not finished": cmp.Or(unfinishedOf(t.Facts.Record), "none"),
	}
	for name, f := range t.Facts.Files {
		all[name] = state(f)
	}
	for name, f := range t.Facts.Dir {
		all[name] = f.Kind + " " + f.Words()
	}
	for name, u := range t.Facts.Units {
		all[name+" LoadState"] = u["LoadState"]
		all[name+" UnitFileState"] = u["UnitFileState"]
		all[name+" runs"] = strconv.FormatBool(slices.Contains([]string{"active", "reloading", "activating"}, u["ActiveState"]))
	}
	return all
}

func unfinishedOf(r steps.Record) string {
	if !r.Unfinished() {
		return ""
	}
	return r.Release + " " + r.State
}

func state(f steps.FileFacts) string {
	if f.Link != "" {
		return "link to " + f.Link
	}
	if f.Mode == "" {
		return f.Digest // a drop-in
	}
	return f.Digest + " " + f.Words()
}

// moved says which fields are not as they were, what they were and what they are.
func moved(was, is map[string]string) []string {
	fields := map[string]bool{}
	for _, m := range []map[string]string{was, is} {
		for k := range m {
			fields[k] = true
		}
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if was[k] != is[k] {
			all = append(all, fmt.Sprintf("%s was %s, is %s", k, shown(was[k]), shown(is[k])))
		}
	}
	return all
}

// shown is a value for people: digests short.
func shown(value string) string {
	digest, rest, _ := strings.Cut(value, " ")
	if len(digest) == 2*sha256.Size {
		value = strings.TrimSpace(digest[:12] + " " + rest)
	}
	return cmp.Or(value, "absent")
}

// stale refuses a lane whose host is not as the saved plan saw it.
func (l *lane) stale() []string {
	saved := l.run.Order.Saved
	if saved == nil {
		return nil
	}
	planned, ok := saved.host(l.host.Name, l.tx.Service.Name)
	if !ok {
		return []string{"service " + l.tx.Service.Name + " was not planned for this host"}
	}
	all := moved(planned.Was, seen(l.tx))
	if all == nil && planned.Release != l.tx.Release {
		all = []string{fmt.Sprintf("release was %s, is %s", planned.Release, l.tx.Release)}
	}
	return all
}
