package main

import (
	"context"
	"fmt"
)

// push stores a file of the log.
func push(ctx context.Context, file string) error {
	c, err := readConfig()
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	control, err := readControlData(ctx)
	if err != nil {
		return err
	}
	if control.stopping { // the server waits for this, and pgBackRest would retry for most of a minute
		if err := c.archive.Ping(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("start pgbackrest: %w",
		c.archive.ExecPush(c.archive.StanzaName(control.identity()), file, c.queue))
}
