package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// dashboard has the parts of a Grafana dashboard that matter here.
// Source: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
type dashboard struct {
	Title, UID string
	Panels     []struct {
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ RefID, Expr string }
	}
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob("dashboards/*.json")
	require.NoError(t, err)
	all := map[string]dashboard{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(content, &d), file)
		all[filepath.Base(file)] = d
	}
	require.Len(t, all, 2)
	return all
}

// expressions are the queries of a dashboard, about a database.
func (d dashboard) expressions(database string) (all []string) {
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			all = append(all, strings.ReplaceAll(target.Expr, "$database", database))
		}
	}
	return all
}

func TestDashboardsAreSound(t *testing.T) {
	type rule struct{ Record, Expr string }
	var rules []rule
	for name, d := range dashboards(t) {
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
		}
		for _, expression := range d.expressions("shop") {
			rules = append(rules, rule{fmt.Sprint("query", len(rules)), expression})
		}
	}
	// promtool checks queries only as rules.
	file, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": rules}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "queries.yaml")
	require.NoError(t, os.WriteFile(path, file, 0o644))
	promtool(t, "check", "rules", "--lint-fatal", path)
}
