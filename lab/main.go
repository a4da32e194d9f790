// Command lab runs a real k3s on this machine, and prepares Pulumi to deploy to it.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(progress.Show(os.Stderr),
		&slog.HandlerOptions{ReplaceAttr: shorten})))
	// Pods and builds read files of the lab. Directories of their own protect what others must not read.
	syscall.Umask(0o022)
	if err := bypassProxies(); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", advise(err))
		os.Exit(1)
	}
}

// shorten leaves the date and the level out of log lines.
func shorten(_ []string, attribute slog.Attr) slog.Attr {
	switch attribute.Key {
	case slog.TimeKey:
		return slog.String(slog.TimeKey, attribute.Value.Time().Format(time.TimeOnly))
	case slog.LevelKey:
		return slog.Attr{}
	}
	return attribute
}
