package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"slices"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/releases"
	"github.com/stateful-k3s/stateful-k3s/lab/stack"
)

// Processor minutes on a machine of medium speed, and the range of others. Everything together, 30 processor
// minutes, took 10 to 30 minutes on machines with two processors.
const (
	programMinutes   = 3.2
	appsMinutes      = 3.0
	imageMinutes     = 0.8
	fastest, slowest = 0.7, 2.0
)

// Minutes on any machine.
const (
	startMinutes     = 0.5
	fastNet, slowNet = 1.0, 5.0 // to download everything
)

// estimate is how much work an up has.
type estimate struct {
	missingTools, missingImages int
	// replaceable are the processor minutes that downloads save. build are the minutes that nothing saves: to
	// compile the Pulumi program and the apps.
	replaceable, build float64
	offline            bool
	processors         int
}

func (s *setup) showEstimate(context.Context) error {
	e, err := s.estimate()
	if err != nil {
		return err
	}
	slog.Info(e.String())
	return nil
}

func (s *setup) estimate() (estimate, error) {
	_, tools, err := toolsOf(s.lab).Find(s.tools())
	missing := images.Missing(s.lab.Cache, slices.Concat(s.base, s.system))
	e := estimate{
		missingTools: len(tools), missingImages: len(missing), processors: runtime.NumCPU(),
		offline: os.Getenv(releases.Setting) == releases.Off && os.Getenv(images.Setting) == images.Off,
	}
	for _, tool := range tools {
		e.replaceable += tool.Minutes
	}
	for _, image := range missing {
		if image.Tool == "" {
			e.replaceable += imageMinutes
		}
	}
	if !stack.HasProgram(s.lab) {
		e.build += programMinutes
	}
	if !isDir(s.lab.Builder()) && !isDir(s.lab.BuilderCache()) {
		e.build += appsMinutes
	}
	return e, err
}

func (e estimate) String() string {
	if e.missingTools+e.missingImages == 0 {
		if e.build == 0 {
			return "no tools or images are missing: this takes less than a minute"
		}
		return "the stack's own programs have to be compiled: this takes " + e.minutes(e.build, 0, 0)
	}
	missing := fmt.Sprintf("missing tools: %d, missing images: %d. This takes ", e.missingTools, e.missingImages)
	compile := fmt.Sprintf("%s to compile, with %d processors", e.minutes(e.build+e.replaceable, 0, 0),
		e.processors)
	if e.offline {
		return missing + compile
	}
	return missing + e.minutes(e.build, fastNet, slowNet) + " if all can be downloaded, or else " + compile
}

// minutes is such as "2 to 5 minutes".
func (e estimate) minutes(work, fast, slow float64) string {
	work /= float64(e.processors)
	return fmt.Sprintf("%.0f to %.0f minutes", max(1, math.Floor(startMinutes+work*fastest+fast)),
		math.Ceil(startMinutes+work*slowest+slow))
}
