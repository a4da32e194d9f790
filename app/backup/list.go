package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
)

func list(ctx context.Context, c config, _ []string) error {
	names, err := c.store.Names(ctx)
	if err != nil {
		return fmt.Errorf("list the backups: %w", err)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tDATABASE\tSERVER\tTABLES\tROWS\tSIZE\tTOOK\tENCRYPTED\tSYSTEM")
	for _, name := range names {
		m, err := c.store.ReadManifest(ctx, name)
		if err != nil {
			fmt.Fprintf(table, "%s\t%v\n", name, err)
			continue
		}
		encrypted := "no"
		if m.Dump.Recipient != "" {
			encrypted = "to " + m.Dump.Recipient
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n",
			name, m.Database, m.Server, len(m.Content.Tables), m.Content.Rows(),
			humanize.Bytes(uint64(m.Dump.Size)), m.Duration().Round(time.Millisecond), encrypted, m.System)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	stanzas, err := c.archive.Stanzas(ctx)
	if err != nil {
		return fmt.Errorf("look into the archive: %w", err)
	}
	for _, covered := range coverage(stanzas) {
		fmt.Println("archive:", covered)
	}
	objects, err := c.store.Archive(ctx)
	if err != nil {
		return fmt.Errorf("list the archive: %w", err)
	}
	if covered := pluginCoverage(pgbackrest.Summarize(objects)); covered != "" {
		fmt.Println("archive:", covered)
	}
	return nil
}

// coverage describes which times can be restored, and what cannot be read.
func coverage(stanzas []pgbackrest.Stanza) (covered []string) {
	for _, s := range stanzas {
		if s.Unreadable != nil {
			covered = append(covered,
				fmt.Sprintf("what archive %s holds, which cannot be read: %v", s.Name, s.Unreadable))
		}
		for _, span := range mergeOverlapping(s.Spans()) {
			covered = append(covered, fmt.Sprintf("%s to %s in %s",
				span.From.Format(time.RFC3339), span.To.Format(time.RFC3339), endName(span)))
		}
	}
	return covered
}

// pluginCoverage describes the archive of the Cluster that archived last; "" if a StatefulSet did.
func pluginCoverage(is pgbackrest.Summary) string {
	switch {
	case !strings.HasPrefix(is.Server, pgbackrest.PluginFolder+"/"):
		return ""
	case is.First.IsZero():
		return "nothing can be restored from " + is.Server + ", which has no base backup"
	}
	covered := fmt.Sprintf("%s to %s in %s", is.First.Format(time.RFC3339), is.Last.Format(time.RFC3339),
		is.Server)
	if is.Gap {
		covered += "; log is missing in it"
	}
	return covered
}

func mergeOverlapping(spans []pgbackrest.Span) (merged []pgbackrest.Span) {
	for _, span := range spans {
		if last := len(merged) - 1; last >= 0 && !span.From.After(merged[last].To) {
			merged[last].To = span.To
			continue
		}
		merged = append(merged, span)
	}
	return merged
}
