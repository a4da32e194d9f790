package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/releases"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func TestAnUpSaysHowLongItTakes(t *testing.T) {
	everything := plan{tools: 13, toolMinutes: 24, images: 8, imageMinutes: 2.4, buildMinutes: 6.2,
		processors: 2}
	const (
		lacks    = "missing: 13 tools and 8 images. This takes "
		download = " if all can be downloaded, or else "
		nothing  = "nothing has to be downloaded or compiled: this takes "
	)
	oneTool := plan{tools: 1, toolMinutes: 5, processors: 2}
	newClone := plan{buildMinutes: programMinutes, processors: 2}
	for name, test := range map[string]struct {
		change func(*plan)
		says   string
	}{
		"everything is missing": {
			func(*plan) {}, lacks + "3 to 12 minutes" + download + "11 to 34 minutes to compile on 2 processors",
		},
		"more processors": {
			func(p *plan) { p.processors = 16 },
			lacks + "1 to 7 minutes" + download + "1 to 5 minutes to compile on 16 processors",
		},
		"nothing is downloaded": {
			func(p *plan) { p.offline = true }, lacks + "11 to 34 minutes to compile on 2 processors",
		},
		"one tool is missing": {
			func(p *plan) { *p = oneTool },
			"missing: 1 tool. This takes 1 to 6 minutes" + download + "2 to 6 minutes to compile on 2 processors",
		},
		"a new clone": {
			func(p *plan) { *p = newClone },
			"the stack's own programs have to be compiled: this takes 1 to 4 minutes",
		},
		"all is there": {func(p *plan) { *p = plan{processors: 2} }, nothing + "about 30 seconds"},
		"the lab runs": {func(p *plan) { *p = plan{processors: 2, running: true} }, nothing + "about 15 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			p := everything
			test.change(&p)
			assert.Equal(t, test.says, p.String())
		})
	}
}

func TestThePlanIsWhatIsMissing(t *testing.T) {
	lab, err := layout.New("nolab", t.TempDir(), t.TempDir())
	require.NoError(t, err)
	t.Setenv(releases.Setting, releases.Off)
	t.Setenv(images.Setting, images.Off)
	lab.Checkout = ".."
	paths, err := tools.Paths(lab.Cache, modules(lab), tools.All)
	require.NoError(t, err)
	system := []images.Image{{Name: images.Busybox}, {Name: images.Traefik, Tool: "traefik"}}

	p, err := newPlan(lab, tools.All, system)
	require.NoError(t, err)
	assert.Equal(t, len(tools.All), p.tools)
	assert.InDelta(t, 24, p.toolMinutes, 1)
	assert.Equal(t, 2, p.images)
	assert.InDelta(t, imageMinutes, p.imageMinutes, 0.01, "the other one is packed from a tool")
	assert.True(t, p.offline)
	assert.False(t, p.running)

	require.NoError(t, os.MkdirAll(paths["k3s"], 0o755))
	t.Setenv(images.Setting, "")
	p, err = newPlan(lab, tools.All, nil)
	require.NoError(t, err)
	assert.Equal(t, len(tools.All)-1, p.tools)
	assert.InDelta(t, 14, p.toolMinutes, 1)
	assert.Zero(t, p.images)
	assert.False(t, p.offline)
}
