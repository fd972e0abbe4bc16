package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagGroup are flags that help lists under one title.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

func newGroup(title string, register ...func(*pflag.FlagSet)) flagGroup {
	g := flagGroup{title, pflag.NewFlagSet(title, pflag.ContinueOnError)}
	g.flags.SortFlags = false
	for _, r := range register {
		r(g.flags)
	}

	return g
}

// addGroups gives a command its flags, and a usage text that lists them by groups.
func addGroups(command *cobra.Command, groups []flagGroup) {
	command.Flags().SortFlags = false
	for _, g := range groups {
		command.Flags().AddFlagSet(g.flags)
	}
	command.SetUsageFunc(func(c *cobra.Command) error {
		out := c.OutOrStderr()
		fmt.Fprintf(out, "Usage:\n  %s\n\nExamples:\n%s\n", c.UseLine(), c.Example)
		rest := pflag.NewFlagSet("", pflag.ContinueOnError)
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			for _, g := range groups {
				if g.flags.Lookup(f.Name) != nil {
					return
				}
			}
			rest.AddFlag(f)
		})
		for _, g := range append(groups, flagGroup{"Help", rest}) {
			fmt.Fprintf(out, "\n%s:\n%s", g.title, g.flags.FlagUsages())
		}

		return nil
	})
}
