package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

func list(ctx context.Context, _ []string) error {
	var e environment
	store, err := openStore(&e)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	names, err := store.Names(ctx)
	if err != nil {
		return fmt.Errorf("list the backups: %w", err)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tDATABASE\tSERVER\tTABLES\tROWS\tSIZE\tTOOK\tENCRYPTED\tSYSTEM")
	for _, name := range names {
		m, err := store.ReadManifest(ctx, name)
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
	of, err := openArchive()
	if err != nil {
		return err
	}
	stanzas, err := of.Stanzas(ctx)
	if err != nil {
		return fmt.Errorf("look into the archive: %w", err)
	}
	for _, times := range coverage(stanzas) {
		fmt.Println("archive:", times)
	}
	return nil
}
