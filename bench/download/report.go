package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"

	"github.com/urlkit/urlkit/bench/internal/spread"
)

// row is what one contender needs under one setting.
type row struct {
	setting, contender string
	cpu, rate          spread.Spread
	cpuToCopy          spread.Spread // ratios within a round
	rateToCopy         spread.Spread
	cpuToCurl          *spread.Spread // nil: there is no curl
}

// rows sums the samples up.
func (c *comparison) rows(samples [][][]sample) (rows []row) {
	cpu := func(s sample) float64 { return s.cpu }
	rate := func(s sample) float64 { return s.rate }
	for i, s := range c.settings {
		named := make(map[string][]sample)
		for j, by := range c.contenders {
			named[by.name] = samples[i][j]
		}
		for j, by := range c.contenders {
			own := samples[i][j]
			r := row{
				setting: s.name, contender: by.name, cpu: over(cpu, own, nil), rate: over(rate, own, nil),
				cpuToCopy: over(cpu, own, named[byCopy]), rateToCopy: over(rate, own, named[byCopy]),
			}
			if base := named[byCurl]; base != nil {
				ratio := over(cpu, own, base)
				r.cpuToCurl = &ratio
			}
			rows = append(rows, r)
		}
	}

	return rows
}

// over sums a value up over the rounds, or its ratio to that of another in the
// same round.
func over(value func(sample) float64, own, base []sample) spread.Spread {
	values := make([]float64, len(own))
	for round, s := range own {
		values[round] = value(s)
		if base != nil {
			values[round] /= value(base[round])
		}
	}

	return spread.Of(values)
}

// write prints the rows for a reader.
func (c *comparison) write(out io.Writer, rows []row, without string) error {
	fmt.Fprintf(out, "download of %d bytes to a file; median (least..greatest) of %d rounds; %s, %d processors\n",
		c.length, c.rounds, runtime.Version(), runtime.GOMAXPROCS(0))
	fmt.Fprintln(out, "CPU: user and system time of the client's process; rates count it from its start to its end; ratios are those of a round")
	fmt.Fprintf(out, "%s syncs the file before it is renamed, and so waits for the disk, as %q does; %q and %q leave it to the system\n",
		bySession, byCopySync, byCopy, byCurl)
	if without != "" {
		fmt.Fprintln(out, without)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	last := ""
	for _, r := range rows {
		if r.setting != last {
			last = r.setting
			fmt.Fprintf(table, "\n%s\tCPU s\tCPU : %s\tCPU : curl\tMB/s\tMB/s : %s\n", r.setting, byCopy, byCopy)
		}
		toCurl := "-"
		if r.cpuToCurl != nil {
			toCurl = show(*r.cpuToCurl, 2)
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\n", r.contender,
			show(r.cpu, 2), show(r.cpuToCopy, 2), toCurl, show(r.rate, 0), show(r.rateToCopy, 2))
	}

	return table.Flush()
}

func show(s spread.Spread, digits int) string {
	return fmt.Sprintf("%.*f (%.*f..%.*f)", digits, s.Median, digits, s.Min, digits, s.Max)
}
