package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"os"
	"runtime"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/releases"
	"github.com/stateful-k3s/stateful-k3s/lab/stack"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Minutes of a processor, as a machine of middling speed takes them; fastest and slowest are what others take
// of that. All of it together, 30 minutes, took 10 to 30 minutes of time on machines with two processors.
const (
	programMinutes = 3.2
	appsMinutes    = 3.0
	imageMinutes   = 0.8

	fastest, slowest = 0.7, 2.0
)

// Minutes of time for what takes that on any machine.
const (
	minutesOfARunningLab = 0.25
	minutesOfALab        = 0.5
	fastNet, slowNet     = 1.0, 5.0 // to download everything
)

// plan is what an up has to do before the stack is up.
type plan struct {
	// tools and images are missing.
	tools, images int
	// toolMinutes are those of a processor if all of them are compiled, imageMinutes if all images are
	// assembled.
	toolMinutes, imageMinutes float64
	// buildMinutes are those that nothing can be downloaded for: the Pulumi program and the apps.
	buildMinutes float64
	// offline says that nothing is to be downloaded.
	offline    bool
	running    bool
	processors int
}

// newPlan looks for what is missing.
func newPlan(lab layout.Lab, want []tools.Tool, wanted []images.Image) (plan, error) {
	_, missing, err := tools.Cached(lab.Cache, modules(lab), want)
	if err != nil {
		return plan{}, err
	}
	p := plan{
		tools: len(missing), toolMinutes: minutes(missing), images: len(images.Missing(lab.Cache, wanted)),
		offline: os.Getenv(releases.Setting) == releases.Off && os.Getenv(images.Setting) == images.Off,
		running: runs(lab), processors: runtime.NumCPU(),
	}
	for _, image := range images.Missing(lab.Cache, wanted) {
		if image.Tool == "" {
			p.imageMinutes += imageMinutes
		}
	}
	if !stack.HasProgram(lab) {
		p.buildMinutes += programMinutes
	}
	if isMissing(lab.Builder()) && isMissing(lab.BuilderCache()) {
		p.buildMinutes += appsMinutes
	}
	return p, nil
}

func minutes(compiled []tools.Tool) (sum float64) {
	for _, tool := range compiled {
		sum += tool.Minutes
	}
	return sum
}

func isMissing(dir string) bool {
	_, err := os.Stat(dir)
	return errors.Is(err, fs.ErrNotExist)
}

// runs looks for the lab's bridge, which is there from its start to its stop: of its daemons only root can
// tell.
func runs(lab layout.Lab) bool {
	_, err := net.InterfaceByName(lab.ID())
	return err == nil
}

// String says how long all of it will take.
func (p plan) String() string {
	start := minutesOfALab
	if p.running {
		start = minutesOfARunningLab
	}
	var missing []string
	for _, what := range []struct {
		name string
		n    int
	}{{"tool", p.tools}, {"image", p.images}} {
		if what.n > 0 {
			missing = append(missing, count(what.n, what.name))
		}
	}
	fast, slow := p.compiling(p.buildMinutes)
	if len(missing) == 0 {
		if p.buildMinutes == 0 {
			return "nothing has to be downloaded or compiled: this takes " + span(start, start)
		}
		return "the stack's own programs have to be compiled: this takes " + span(start+fast, start+slow)
	}
	allFast, allSlow := p.compiling(p.buildMinutes + p.toolMinutes + p.imageMinutes)
	compiled := span(start+allFast, start+allSlow) + " to compile on " + count(p.processors, "processor")
	lacking := "missing: " + strings.Join(missing, " and ") + ". This takes "
	if p.offline {
		return lacking + compiled
	}
	return lacking + span(start+fast+fastNet, start+slow+slowNet) + " if all can be downloaded, or else " +
		compiled
}

// compiling turns minutes of a processor into those of the machine.
func (p plan) compiling(minutes float64) (fast, slow float64) {
	each := minutes / float64(max(1, p.processors))
	return each * fastest, each * slowest
}

// announceCompiling says how long the tools will take that could not be downloaded.
func announceCompiling(left []tools.Tool) {
	if len(left) == 0 {
		return
	}
	p := plan{processors: runtime.NumCPU()}
	fast, slow := p.compiling(minutes(left))
	slog.Info(fmt.Sprintf("left to compile: %s, in %s on %s", count(len(left), "tool"), span(fast, slow),
		count(p.processors, "processor")))
}

// count is such as "2 tools".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// span is such as "2 to 5 minutes".
func span(fast, slow float64) string {
	if slow < 1 {
		return fmt.Sprintf("about %.0f seconds", slow*60)
	}
	least, most := max(1, math.Floor(fast)), math.Ceil(slow)
	switch {
	case most == 1:
		return "about a minute"
	case least == most:
		return fmt.Sprintf("about %.0f minutes", most)
	}
	return fmt.Sprintf("%.0f to %.0f minutes", least, most)
}
