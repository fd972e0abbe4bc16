package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"

	"github.com/urlkit/urlkit/bench/internal/spread"
)

// result is what one contender needs for a request under one setting.
type result struct {
	Setting   string        `json:"setting"`
	Contender string        `json:"contender"`
	CPU       spread.Spread `json:"cpu_microseconds"` // user and system time of the client's process
	Ratio     spread.Spread `json:"cpu_ratio"`        // to the baseline in the same round
	Rate      spread.Spread `json:"requests_per_second"`
	Allocs    spread.Spread `json:"allocations"`
	Bytes     spread.Spread `json:"allocated_bytes"`
	// More is how many allocations the median has above the baseline's.
	More float64 `json:"allocations_above_baseline"`
}

// summarize makes a result of the rounds of a contender and those of the
// baseline.
func summarize(s setting, contender string, rounds, base []sample) result {
	over := func(value func(i int) float64) spread.Spread {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = value(i)
		}

		return spread.Of(values)
	}

	return result{
		Setting:   s.name(),
		Contender: contender,
		CPU:       over(func(i int) float64 { return rounds[i].cpu }),
		Ratio:     over(func(i int) float64 { return rounds[i].cpu / base[i].cpu }),
		Rate:      over(func(i int) float64 { return rounds[i].rate }),
		Allocs:    over(func(i int) float64 { return rounds[i].allocs }),
		Bytes:     over(func(i int) float64 { return rounds[i].bytes }),
		More:      over(func(i int) float64 { return rounds[i].allocs - base[i].allocs }).Median,
	}
}

// writeTable prints the results for a reader.
func writeTable(out io.Writer, results []result) error {
	fmt.Fprintf(out, "GET of 1 KiB on loopback; median (least..greatest) of the rounds; %s, %d processors\n",
		runtime.Version(), runtime.GOMAXPROCS(0))
	fmt.Fprintf(out, "ratio: processor time compared with %s in the same round\n", baseline)
	fmt.Fprintln(out, "sessions may make as many connections to the host as there are workers (default 6), as net/http's clients do")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	last := ""
	for _, r := range results {
		if r.Setting != last {
			last = r.Setting
			fmt.Fprintf(table, "\n%s\tratio\tCPU us/request\trequests/s\tallocs\tmore\tB\n", r.Setting)
		}
		fmt.Fprintf(table, "  %s\t%.2f (%.2f..%.2f)\t%.1f (%.1f..%.1f)\t%.0f (%.0f..%.0f)\t%.1f\t%+.1f\t%.0f\n", r.Contender,
			r.Ratio.Median, r.Ratio.Min, r.Ratio.Max, r.CPU.Median, r.CPU.Min, r.CPU.Max,
			r.Rate.Median, r.Rate.Min, r.Rate.Max, r.Allocs.Median, r.More, r.Bytes.Median)
	}

	return table.Flush()
}
