package plans

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seatrial/seatrial/remote"
	"github.com/seatrial/seatrial/steps"
)

// made is when the run's releases were made: now, or when the plan that it applies was saved.
func (r *Run) made() time.Time {
	if r.Order.Saved != nil {
		return r.Order.Saved.Created
	}
	return r.since
}

// choose settles which release the lane is about, and what the host has now.
func (l *lane) choose(ctx context.Context) error {
	now, h := l.run.made(), history(l.tx.Facts.Releases)
	files, found := installed(l.tx.Service, l.tx.Facts)
	current := h.current(files)
	l.tx.Current = current.ID
	l.tx.Last = h.last()
	if found && current.ID == "" {
		l.tx.Previous = releaseID(now.Add(-time.Second), files)
	}
	switch {
	case l.run.Order.Plan.Name == "rollback":
		return l.chooseOlder(ctx, h, current.ID)
	case !l.run.Order.Plan.commits():
		l.tx.Release, l.tx.Label = current.ID, current.Label
		l.tx.Service.Files = files // nothing is copied: old and new are the same
		return l.restartable()
	case current.ID != "" && current.Matches(l.tx.Service.Files):
		l.tx.Release, l.tx.Label = current.ID, cmp.Or(l.run.Order.Label, current.Label)
	default:
		l.tx.Release, l.tx.Label = releaseID(now, l.tx.Service.Files), l.run.Order.Label
	}
	return nil
}

// restartable says which unit a restart would not find.
func (l *lane) restartable() error {
	for _, r := range l.tx.Service.Runs {
		if l.run.Order.Plan.tries() && l.tx.Facts.Units[r.Unit]["LoadState"] == "not-found" {
			return &remote.Error{Op: l.run.Order.Plan.Name, Err: fmt.Errorf("%s is not installed on this host", r.Unit), Hint: "seatrial deploy installs it"}
		}
	}
	return nil
}

// chooseOlder makes the lane about a release that the host keeps.
func (l *lane) chooseOlder(ctx context.Context, h history, current string) error {
	to := h.before(current)
	if name := l.run.Order.To; name != "" {
		switch all := h.named(name); len(all) {
		case 0:
			return &remote.Error{Op: "rollback", Err: fmt.Errorf("release %s is not kept on this host", name), Hint: h.hint()}
		case 1:
			to = all[0]
		default:
			return &remote.Error{Op: "rollback", Err: fmt.Errorf("%d releases are called %s on this host: %s", len(all), name, ids(all)),
				Hint: "name one by its id: seatrial history shows them"}
		}
	}
	switch to.ID {
	case "":
		return &remote.Error{Op: "rollback", Err: errors.New("there is no release to go back to"),
			Hint: "the host keeps the releases that seatrial committed; this one has none before the current"}
	case current:
		return &remote.Error{Op: "rollback", Err: fmt.Errorf("release %s is what is installed", to.ID), Hint: "seatrial restart restarts it"}
	}
	kept, err := l.readRelease(ctx, to.ID)
	if err != nil {
		return err
	}
	l.tx.Release, l.tx.Label = to.ID, to.Label
	l.tx.Service = withFiles(l.tx.Service, kept)
	if len(l.tx.Service.Runs) == 0 {
		return fmt.Errorf("release %s holds no unit of service %s", to.ID, l.tx.Service.Name)
	}
	return nil
}

// ids of the newest of these releases.
func ids(all []steps.Past) string {
	const most = 5
	var words []string
	for _, p := range all[:min(most, len(all))] {
		words = append(words, p.ID)
	}
	if more := len(all) - most; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}

// withFiles is the service with the files of another release. A companion that it did not have yet is to be absent; a unit
// that it did not have is left alone.
func withFiles(s steps.Service, kept map[string]steps.File) steps.Service {
	var files []steps.File
	var runs []steps.Run
	for _, f := range s.Files {
		old, ok := kept[f.Path[strings.LastIndex(f.Path, "/")+1:]]
		if !ok {
			if absent := (steps.File{Path: f.Path, Digest: "none"}); !absent.Unit() {
				files = append(files, absent)
			}
			continue
		}
		old.Path = f.Path
		files = append(files, old)
		for _, r := range s.Runs {
			if r.File == f.Path {
				runs = append(runs, r)
			}
		}
	}
	s.Files, s.Runs = files, runs
	return s
}

func (l *lane) readRelease(ctx context.Context, id string) (map[string]steps.File, error) {
	kept, why := map[string]steps.File{}, ""
	results, err := l.helper.Do(ctx, []remote.Request{steps.ReadReleaseRequest(l.tx, id)}, func(r remote.Reply) {
		switch r.Key {
		case "file":
			f := steps.ParseReleaseFile(r.Text)
			f.Digest = digestOf(f.Content)
			kept[f.Path] = f
		case "error":
			why = r.Text
		}
	})
	if err == nil && results[0].Code != 0 {
		err = &remote.Error{Op: "rollback", Err: errors.New(why), Hint: history(l.tx.Facts.Releases).hint()}
	}
	return kept, err
}
