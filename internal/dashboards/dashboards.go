// Package dashboards reads the stack's dashboards of Grafana.
package dashboards

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Dashboard has the parts of a dashboard that matter here.
// Source: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
type Dashboard struct {
	Title, UID string
	Panels     []Panel
}

// Panel is a graph or a number.
type Panel struct {
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []Target
}

// Target is a query.
type Target struct{ RefID, Expr, LegendFormat string }

// Read returns the dashboards in a folder, by their files' names without ".json".
func Read(dir string) (map[string]Dashboard, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("looking for dashboards in %s: found %d: %w", dir, len(files), err)
	}
	all := map[string]Dashboard{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var d Dashboard
		if err := json.Unmarshal(content, &d); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = d
	}
	return all, nil
}

// Query is the query of a target, about a database where the dashboard asks for one.
func (t Target) Query(database string) string {
	return strings.ReplaceAll(t.Expr, "$database", database)
}

var placeholder = regexp.MustCompile(`{{(\w+)}}`)

// Legend is the name of a series with labels.
func (t Target) Legend(labels map[string]string) string {
	return placeholder.ReplaceAllStringFunc(t.LegendFormat, func(name string) string {
		return labels[strings.Trim(name, "{}")]
	})
}
