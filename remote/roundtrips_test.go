package remote

import (
	"fmt"
	"testing"
	"time"

	"github.com/seatrial/seatrial/remote/internal/talk"
)

// connectTrips are: greeting (which crosses the host's own), kexinit, key exchange, service request, none, key query and
// signature. The library sends each only after the answer to the one before.
const connectTrips = 7

// trips counts the round trips of one connection: logging in, starting the helper with its first requests, one batch of
// ten steps. They are what a slow network makes slow, and nobody may add one unnoticed.
type trips struct{ connect, helper, batch int }

func measure(t testing.TB, proxy *talk.Proxy, through *target) trips {
	t.Helper()
	entry, d := through.host(t), dialer(t)
	var got trips
	mark := proxy.Turns()
	since := func() int {
		n := proxy.Turns() - mark
		mark += n
		return n
	}
	conn, err := d.Dial(t.Context(), entry)
	must(t, err)
	got.connect = since()
	h, err := conn.Helper(t.Context(), testProgram, []Request{{"facts", "plain", []string{"x"}}, {"facts", "plain", []string{"y"}}})
	must(t, err)
	_, err = h.First(t.Context(), nil)
	must(t, err)
	got.helper = since()
	var batch []Request
	for i := range 10 {
		batch = append(batch, Request{fmt.Sprint("step", i), "plain", []string{"x"}})
	}
	_, err = h.Do(t.Context(), batch, nil)
	must(t, err)
	got.batch = since()
	must(t, h.Close())
	must(t, conn.Close())
	return got
}

func TestRoundTrips(t *testing.T) {
	onTargets(t, targetOptions{}, func(t *testing.T, host *target) {
		proxy, through := proxied(t, host, 60*time.Millisecond)
		got := measure(t, proxy, through)
		for range 3 { // packets that cross make it look like more, never like less
			more := measure(t, proxy, through)
			got = trips{min(got.connect, more.connect), min(got.helper, more.helper), min(got.batch, more.batch)}
		}
		if most := (trips{connect: connectTrips, helper: 2, batch: 1}); got.connect > most.connect || got.helper > most.helper || got.batch > most.batch {
			t.Errorf("%+v, want at most %+v", got, most)
		}
	})
}

// BenchmarkRoundTrips is a whole connection, at several distances. What it takes beyond its round trips is work.
func BenchmarkRoundTrips(b *testing.B) {
	for _, distance := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
		b.Run(distance.String(), func(b *testing.B) {
			host := startSSHD(b, sshdOptions{})
			proxy, through := proxied(b, host, distance)
			var sum trips
			for b.Loop() {
				got := measure(b, proxy, through)
				sum.connect, sum.helper, sum.batch = sum.connect+got.connect, sum.helper+got.helper, sum.batch+got.batch
			}
			n := float64(b.N)
			b.ReportMetric(float64(sum.connect)/n, "trips-connect/op")
			b.ReportMetric(float64(sum.helper)/n, "trips-helper/op")
			b.ReportMetric(float64(sum.batch)/n, "trips-batch/op")
		})
	}
}
