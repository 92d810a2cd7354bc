package plans

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkDeployRoundTrips deploys to one host over a connection with a round trip time, and reports how often the talk
// changes direction after the TCP handshake: what a deploy waits for, whatever the machine's speed is.
func BenchmarkDeployRoundTrips(b *testing.B) {
	for _, step := range []string{"", "connected", "facts", "prepared", "tried"} {
		name := map[string]string{"": "all"}[step] + step
		b.Run(name, func(b *testing.B) {
			total := 0
			for range b.N {
				total += turns(b, step)
			}
			b.ReportMetric(float64(total)/float64(b.N), "turns/deploy")
		})
	}
}

// turns counts those of a deploy until it has come to the place.
func turns(b *testing.B, until string) int {
	f := newFleet(b, 1, unit("old"), unit("new"))
	w := &wires{roundTrip: 30 * time.Millisecond}
	f.dial.NetDial = w.dial
	at := map[string]int{}
	note := func(place string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		at[place] = w.turns
	}
	f.each = func(_ int, e Event) {
		switch line(e) {
		case "step.started web-1 lock":
			note("facts")
		case "step.finished web-1 unit-copy ok":
			note("prepared")
		case "step.finished web-1 verify ok":
			note("tried")
		case "step.finished web-1 commit ok":
			note("")
		}
	}
	if until == "connected" {
		conn, err := f.connect(b.Context(), f.order.Hosts[0])
		if err != nil {
			b.Fatal(err)
		}
		note("connected")
		_ = conn.Close()
		return at[until]
	}
	if code := f.run(b.Context()); code != ExitOK {
		b.Fatalf("exit code %d, %+v", code, f.results())
	}
	return at[until]
}

// BenchmarkDeployHosts deploys to embedded hosts in this process, which takes most of the time and of the memory.
func BenchmarkDeployHosts(b *testing.B) {
	for _, n := range []int{1, 10, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := newFleet(b, n, unit("old"), unit("new"))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				f.forget()
				if code := f.run(b.Context()); code != ExitOK {
					b.Fatalf("exit code %d", code)
				}
			}
		})
	}
}
