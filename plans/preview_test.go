package plans

import (
	"context"
	"slices"
	"testing"

	"github.com/seatrial/seatrial/remote"
)

// countingAsker counts what is asked beyond the facts.
type countingAsker struct {
	asker
	asked *int
}

func (c countingAsker) Do(ctx context.Context, batch []remote.Request, each func(remote.Reply)) ([]remote.Result, error) {
	*c.asked++
	return c.asker.Do(ctx, batch, each)
}

// A preview's lint comes with the facts, and says and refuses what one that is asked for afterwards does.
func TestPreviewIsOneRequest(t *testing.T) {
	var said [2][]string
	for i, want := range []int{1, 0} {
		f := newFleet(t, 1, unit("old"), unit("new"))
		asked := 0
		f.runner.through = func(a asker) asker { return countingAsker{a, &asked} }
		if err := f.hosts["web-1"].Fail("unit-copy"); err != nil {
			t.Fatal(err)
		}
		f.order.Preview = i == 1
		run := f.runner.Survey(t.Context(), f.order)
		run.Inspect(t.Context(), false)
		if asked != want {
			t.Errorf("Preview %t: %d requests after the facts, want %d", f.order.Preview, asked, want)
		}
		if p := run.Preview()[0]; p.Outcome != Refused || p.Hint == "" {
			t.Errorf("Preview %t: %+v", f.order.Preview, p)
		}
		run.Close()
		for _, e := range f.events {
			if e.Step != "" {
				said[i] = append(said[i], line(e)+" "+e.Text)
			}
		}
	}
	if len(said[0]) < 3 || !slices.Equal(said[0], said[1]) {
		t.Errorf("asked for by itself the lint says\n%q\nand together with the facts\n%q", said[0], said[1])
	}
}
