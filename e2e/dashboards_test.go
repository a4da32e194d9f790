package e2e

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/prometheus"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
	"github.com/stateful-k3s/stateful-k3s/internal/dashboards"
)

// between are the least and the most that a value may be.
type between [2]float64

func exactly(value float64) between { return between{value, value} }

func about(value float64) between { return between{value * 0.97, value * 1.03} }

// panel tells what a panel has to show, by the names of its series. Series that it does not name are as it
// says for others; without that, there are none.
type panel func() map[string]between

const others = "others"

// one is a panel with a single series.
func one(name string, value func() between) panel {
	return func() map[string]between { return map[string]between{name: value()} }
}

// panels has the panels of all dashboards by their names, such as "system: Requests per second".
type panels struct {
	c     *kube.Cluster
	all   map[string]dashboards.Panel
	shown map[string]bool
}

// dashboardsShow does something of everything, and wants each panel to show it.
func dashboardsShow(c *kube.Cluster) {
	boards, err := dashboards.Read("../infra/monitoring/dashboards")
	require.NoError(c.T, err)
	panels := panels{c, map[string]dashboards.Panel{}, map[string]bool{}}
	for name, board := range boards {
		for _, panel := range board.Panels {
			panels.all[name+": "+panel.Title] = panel
		}
	}
	p := produce(c)
	p.holdUpPings(func() error { return panels.compare(p.whilePingsWait()) })
	p.archive()
	panels.waitFor(p.whileAllIsWell())
	defer p.takeBackendAway()()
	panels.waitFor(p.rates())
	panels.waitFor(p.ofTheSystem())
	panels.waitFor(p.ofTheDatabase())
	assert.ElementsMatch(c.T, slices.Collect(maps.Keys(panels.all)), slices.Collect(maps.Keys(panels.shown)))
}

// waitFor waits until each panel shows what is wanted.
func (p *panels) waitFor(wanted map[string]panel) {
	for name, want := range wanted {
		wait.Until(p.c.T, func() error { return p.compare(map[string]panel{name: want}) })
	}
}

// compare returns an error if a panel does not show of the pings what is wanted.
func (p *panels) compare(wanted map[string]panel) error {
	for name, want := range wanted {
		shown, err := p.show(p.all[name])
		if err != nil {
			return err
		}
		if err := differ(want(), shown); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		p.shown[name] = true
	}
	return nil
}

// show returns the values of a panel by the names of its series.
func (p *panels) show(panel dashboards.Panel) (map[string]float64, error) {
	shown := map[string]float64{}
	for _, target := range panel.Targets {
		samples, err := prometheus.Query(p.c, target.Query("pingpong"))
		if err != nil {
			return nil, err
		}
		for _, sample := range samples {
			series := target.Legend(sample.Labels)
			if panel.Type == "table" {
				series = sample.Labels["alertname"] + " " + sample.Labels["namespace"]
			}
			shown[series] = sample.Value
		}
	}
	return shown, nil
}

func differ(want map[string]between, shown map[string]float64) error {
	for series := range want {
		if _, is := shown[series]; !is && series != others {
			return fmt.Errorf("no %s: %v", series, shown)
		}
	}
	for series, value := range shown {
		limits, is := want[series]
		if !is {
			limits, is = want[others]
		}
		if !is || math.IsNaN(value) || value < limits[0] || value > limits[1] {
			return fmt.Errorf("%s is not within %v: %v", series, limits, shown)
		}
	}
	return nil
}
