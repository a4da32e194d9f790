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

func TestEstimates(t *testing.T) {
	const all = "missing tools: 13, missing images: 8. This takes "
	for name, test := range map[string]struct {
		estimate estimate
		says     string
	}{
		"everything is missing": {
			estimate{missingTools: 13, missingImages: 8, replaceable: 26.4, build: 6.2, processors: 2},
			all + "3 to 12 minutes if all can be downloaded, or else 11 to 34 minutes to compile, with 2 processors",
		},
		"more processors": {
			estimate{missingTools: 13, missingImages: 8, replaceable: 26.4, build: 6.2, processors: 16},
			all + "1 to 7 minutes if all can be downloaded, or else 1 to 5 minutes to compile, with 16 processors",
		},
		"nothing is downloaded": {
			estimate{missingTools: 13, missingImages: 8, replaceable: 26.4, build: 6.2, processors: 2, offline: true},
			all + "11 to 34 minutes to compile, with 2 processors",
		},
		"a new clone": {
			estimate{build: programMinutes, processors: 2},
			"the stack's own programs have to be compiled: this takes 1 to 4 minutes",
		},
		"everything is cached": {
			estimate{processors: 2}, "no tools or images are missing: this takes less than a minute",
		},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.says, test.estimate.String()) })
	}
}

func TestAnEstimateIsOfWhatIsMissing(t *testing.T) {
	lab, err := layout.New("nolab", t.TempDir(), "..")
	require.NoError(t, err)
	t.Setenv(releases.Setting, releases.Off)
	t.Setenv(images.Setting, images.Off)
	s := newSetup(lab)
	s.tools = func() []tools.Tool { return tools.All }
	s.system = []images.Image{{Name: images.Busybox}, {Name: images.Traefik, Tool: "traefik"}}

	e, err := s.estimate()
	require.NoError(t, err)
	assert.Equal(t, len(tools.All), e.missingTools)
	assert.Equal(t, 2, e.missingImages)
	assert.InDelta(t, 24+imageMinutes, e.replaceable, 1, "one of the images is packed from a tool")
	assert.True(t, e.offline)

	paths, err := toolsOf(lab).Paths(tools.All)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(paths["k3s"], 0o755))
	t.Setenv(images.Setting, "")
	e, err = s.estimate()
	require.NoError(t, err)
	assert.Equal(t, len(tools.All)-1, e.missingTools)
	assert.InDelta(t, 14+imageMinutes, e.replaceable, 1)
	assert.False(t, e.offline)
}
