package monitoring

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stateful-k3s/stateful-k3s/internal/dashboards"
)

func TestDashboardsAreSound(t *testing.T) {
	type rule struct{ Record, Expr string }
	var rules []rule
	all, err := dashboards.Read("dashboards")
	require.NoError(t, err)
	require.Len(t, all, 2)
	for name, d := range all {
		assert.NotEmpty(t, d.Title, name)
		assert.NotEmpty(t, d.UID, name)
		taken := map[[2]int]string{}
		for _, panel := range d.Panels {
			at := panel.GridPos
			assert.LessOrEqual(t, at.X+at.W, 24, panel.Title)
			for x := at.X; x < at.X+at.W; x++ {
				for y := at.Y; y < at.Y+at.H; y++ {
					assert.Empty(t, taken[[2]int{x, y}], "%s: %s lies over another panel", name, panel.Title)
					taken[[2]int{x, y}] = panel.Title
				}
			}
			assert.NotEmpty(t, panel.Targets, panel.Title)
			for _, target := range panel.Targets {
				rules = append(rules, rule{fmt.Sprint("query", len(rules)), target.Query("shop")})
			}
		}
	}
	// promtool checks queries only as rules.
	file, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": rules}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "queries.yaml")
	require.NoError(t, os.WriteFile(path, file, 0o644))
	promtool(t, "check", "rules", "--lint-fatal", path)
}
