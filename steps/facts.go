package steps

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seatrial/seatrial/remote"
)

// Facts are what a host said of itself and of one service, in one read-only request.
type Facts struct {
	BootID   string
	Machine  string // machine-id
	Systemd  int
	Analyze  bool // systemd-analyze is there
	Uptime   int  // seconds
	Time     int64
	Missing  []string // tools that the steps need and the host lacks
	NoUser   []string // users and groups of the inventory that the host lacks
	NoGroup  []string
	Files    map[string]FileFacts
	Units    map[string]map[string]string // properties by unit, as systemctl show gives them
	Dir      map[string]FileFacts
	Disk     []Space
	ReadOnly []string // directories that cannot be written to
	Record   Record

	Maintenance Maintenance
	Releases    []Past   // oldest first
	Kept        []string // ids of the releases whose files the host keeps
}

// FileFacts of one path. Digest is "none" when there is no such file.
type FileFacts struct {
	Path, Digest, Link, Kind string
	Attributes
	Content []byte
}

// Space left on the file system of a directory.
type Space struct {
	Mount       string
	KiB, Inodes int64
}

// Record is the transaction that the host remembers: under way, or how it ended.
type Record struct {
	State, Token, Boot, Release, Owner, Since string
	Deadline                                  int // uptime seconds
}

// Maintenance is a person's lock; without an owner there is none.
type Maintenance struct{ Owner, Since, Message string }

// Past is a line of the host's history: how a release ended there.
type Past struct {
	ID      string
	Outcome string // Committed, Found or RolledBack
	Time    int64  // Unix seconds
	Label   string
	Plan    string            // digest of the saved plan that brought it
	Files   map[string]string // path -> the first historyDigits of the digest
	Owner   string
}

// historyDigits of a digest are in the history; see history_line in commit.sh.
const historyDigits = 12

func short(digest string) string { return digest[:min(historyDigits, len(digest))] }

// Matches reports whether these files are what the release left. Files that the service has no more are not looked at.
func (p Past) Matches(files []File) bool {
	for _, f := range files {
		if want, ok := p.Files[f.Path]; ok != (f.Digest != none) || ok && want != short(f.Digest) {
			return false
		}
	}
	return true
}

const none = "none"

// longestLease in seconds that is believed: a host may say anything.
const longestLease = 1 << 30

// FactsRequest asks a host for everything that a preview and a deploy of the service need to know.
func FactsRequest(s Service) remote.Request {
	var items []string
	for _, f := range s.Files {
		items = append(items, "file="+f.Path)
	}
	for _, r := range s.Runs {
		items = append(items, "run="+r.Unit)
	}
	if s.Log != nil {
		items = append(items, "dir="+s.Log.Path, "user="+s.Log.Owner, "group="+s.Log.Group)
	}
	return remote.Request{Step: "facts", Verb: "facts", Args: append([]string{s.Name}, items...)}
}

// ReadReleaseRequest asks for the files of a release that the host keeps.
func ReadReleaseRequest(t Transaction, id string) remote.Request {
	return t.request("facts", "read_release", id)
}

// ParseReleaseFile reads one reply to it: a file without its digest. Path is its name alone.
func ParseReleaseFile(text string) File {
	head, content, _ := strings.Cut(text, "\n\n")
	kv := pairs(strings.Split(head, "\n"))
	return File{Path: kv["path"], Content: []byte(strings.TrimSuffix(content, ".")), Attributes: Attributes{kv["mode"], kv["owner"], kv["group"]}}
}

// File gives what is at path; Digest is "none" when nothing is.
func (f Facts) File(path string) FileFacts {
	if file, ok := f.Files[path]; ok {
		return file
	}
	return FileFacts{Path: path, Digest: none}
}

// Unfinished reports whether a transaction is under way, alive or dead.
func (r Record) Unfinished() bool {
	switch r.State {
	case "LOCKED", "STAGED", "ARMED", "TRIAL", "COMMITTING", "REVERTING":
		return true
	}
	return false
}

// LeaseLeft is how long the lease of an unfinished transaction still lasts; 0 when it is over or of another boot.
func (f Facts) LeaseLeft() time.Duration {
	if !f.Record.Unfinished() || f.Record.Boot != f.BootID || f.Record.Deadline <= f.Uptime {
		return 0
	}
	return time.Duration(min(f.Record.Deadline-f.Uptime, longestLease)) * time.Second
}

// ParseFacts reads the answer of the facts script: sections that begin with @NAME and hold key=value lines.
func ParseFacts(text string) (Facts, error) {
	f := Facts{Files: map[string]FileFacts{}, Units: map[string]map[string]string{}, Dir: map[string]FileFacts{}}
	for _, section := range strings.Split("\n"+strings.TrimPrefix(text, "\n"), "\n@") {
		name, body, _ := strings.Cut(section, "\n")
		if err := f.section(name, strings.Split(body, "\n")); err != nil {
			return Facts{}, fmt.Errorf("facts of the host, section %q: %w", name, err)
		}
	}
	if f.BootID == "" {
		return Facts{}, fmt.Errorf("facts of the host: no boot id in %d bytes", len(text))
	}
	return f, nil
}

func (f *Facts) section(name string, lines []string) error {
	kv := pairs(lines)
	switch name {
	case "host":
		return f.host(kv, lines)
	case "missing":
		f.NoUser = appendNonEmpty(f.NoUser, kv["user"])
		f.NoGroup = appendNonEmpty(f.NoGroup, kv["group"])
	case "disk", "inodes":
		return f.space(name, lines)
	case "record":
		f.Record = Record{kv["state"], kv["token"], kv["boot"], kv["release"], kv["owner"], kv["since"], atoi(kv["deadline"])}
		if v := kv["version"]; v != "1" {
			f.Record.State = "version " + v
		}
	case "maintenance":
		f.Maintenance = Maintenance{kv["owner"], kv["since"], kv["message"]}
	case "readonly":
		f.ReadOnly = appendNonEmpty(f.ReadOnly, kv["path"])
	case "history":
		f.history(lines)
	case "kept":
		f.Kept = appendNonEmpty(f.Kept, kv["id"])
	case "file", "dir":
		return f.file(name, kv)
	case "unit":
		f.Units[kv["unit"]] = kv
	}
	return nil
}

func (f *Facts) host(kv map[string]string, lines []string) error {
	f.BootID, f.Machine, f.Analyze = kv["boot"], kv["machine"], kv["analyze"] == "yes"
	f.Uptime, f.Time = atoi(kv["uptime"]), int64(atoi(kv["time"]))
	f.Systemd = atoi(leadingDigits(kv["systemd"]))
	for _, l := range lines {
		if tool, ok := strings.CutPrefix(l, "missing="); ok {
			f.Missing = append(f.Missing, tool)
		}
	}
	return nil
}

// space reads df -P lines: file system, size, used, free, use%, mount.
func (f *Facts) space(kind string, lines []string) error {
	row := 0
	for _, l := range lines {
		words := strings.Fields(l)
		if len(words) < 6 || words[0] == "Filesystem" {
			continue
		}
		free, err := strconv.ParseInt(words[3], 10, 64)
		if err != nil {
			free = -1 // a file system without inodes says "-"
		}
		if kind == "disk" {
			f.Disk = append(f.Disk, Space{Mount: words[5], KiB: free, Inodes: -1})
		} else if row < len(f.Disk) && words[1] != "0" {
			f.Disk[row].Inodes = free
		}
		row++
	}
	return nil
}

func (f *Facts) history(lines []string) {
	for _, l := range lines {
		words := strings.SplitN(l, " ", 7)
		if len(words) < 7 {
			continue
		}
		for i := 3; i < 6; i++ {
			if words[i] == "-" { // there is none
				words[i] = ""
			}
		}
		files := map[string]string{}
		for _, file := range strings.Split(words[5], ",") {
			if path, digest, ok := strings.Cut(file, "="); ok {
				files[path] = digest
			}
		}
		f.Releases = append(f.Releases, Past{words[0], words[1], int64(atoi(words[2])), words[3], words[4], files, words[6]})
	}
}

func (f *Facts) file(section string, kv map[string]string) error {
	file := FileFacts{Path: kv["path"], Digest: kv["digest"], Link: kv["link"], Kind: kv["kind"],
		Attributes: Attributes{kv["mode"], kv["owner"], kv["group"]}}
	if file.Digest == "" {
		file.Digest = none
	}
	content, err := base64.StdEncoding.DecodeString(kv["content"])
	if err != nil {
		return fmt.Errorf("content of %s: %w", file.Path, err)
	}
	file.Content = content
	if section == "dir" {
		f.Dir[file.Path] = file
	} else {
		f.Files[file.Path] = file
	}
	return nil
}

func pairs(lines []string) map[string]string {
	kv := map[string]string{}
	for _, l := range lines {
		if k, v, ok := strings.Cut(l, "="); ok {
			kv[k] = v
		}
	}
	return kv
}

func appendNonEmpty(list []string, s string) []string {
	if s != "" {
		list = append(list, s)
	}
	return list
}

func leadingDigits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

// atoi is for numbers that cannot be below 0; what is none counts as 0.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return max(0, n)
}

func itoa(n int) string { return strconv.Itoa(n) }
