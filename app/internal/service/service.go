// Package service starts and stops apps, and serves HTTP with the limits that all of them share.
package service

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// permanentStatus is the exit status that tells a Job not to start another pod.
const permanentStatus = 3

// Main runs an app until it returns. Its context ends with SIGTERM or an interrupt. An error is logged and
// makes the process exit with status 1, or 3 if it is permanent. The garbage collector keeps to three
// quarters of the container's memory: the program itself and its connections are in it too. $LOG_LEVEL is
// debug, or anything else for less.
func Main(run func(context.Context) error) {
	level := slog.LevelInfo
	if os.Getenv("LOG_LEVEL") == "debug" {
		level = slog.LevelDebug
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: level})))
	if _, err := memlimit.Set(memlimit.WithRatio(0.75)); err != nil {
		slog.Warn("the memory limit is not known", "error", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		slog.Error("stopped", "error", err)
		if errors.As(err, &permanent{}) {
			os.Exit(permanentStatus)
		}
		os.Exit(1)
	}
	slog.Info("stopped")
}

type permanent struct{ error }

// Permanent marks an error that would come back if the program ran again.
func Permanent(err error) error { return permanent{err} }

func (p permanent) Unwrap() error { return p.error }
