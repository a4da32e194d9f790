package page

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/npm"
)

// Check looks at a state of the page with axe-core: light and dark, wide and narrow.
func (p *Page) Check(state string) {
	p.Do(chromedp.Evaluate[chromedp.Void](axeScript(p.T)))
	for _, width := range []int64{1000, 320} {
		for _, scheme := range []string{"light", "dark"} {
			p.Media(&emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme},
				&emulation.MediaFeature{Name: "prefers-reduced-motion", Value: "reduce"})
			p.Do(chromedp.EmulateViewport(width, 900))
			// Colours are the final ones when animations have ended.
			Value[bool](p, `document.getAnimations().every((animation) => { animation.finish(); return true })`)
			name := fmt.Sprintf("%s-%s-%d", state, scheme, width)
			violations := Value[[]string](p,
				`axe.run({ exclude: ["#todos > li:nth-child(n + 10)"] }, {
					runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
				}).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
					nodes.map((node) => id + ": " + node.target + " " + node.failureSummary)))`)
			assert.Empty(p.T, violations, name)
			assert.LessOrEqual(p.T, Value[float64](p, `document.documentElement.scrollWidth`), float64(width),
				"%s: the page scrolls sideways", name)
		}
	}
	p.Media()
	p.Do(chromedp.EmulateViewport(1000, 900))
}

// axe is a script that finds what keeps people from using a page: https://github.com/dequelabs/axe-core
var axe = npm.Package{
	Name: "axe-core", Version: "4.14.1",
	Integrity: "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
}

// axeScript is what a page has to run before it has an `axe`.
func axeScript(t *testing.T) string {
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	script, err := axe.File(t.Context(), filepath.Join(cache, "stateful-k3s", "npm"), "axe.min.js")
	require.NoError(t, err)
	return string(script)
}
