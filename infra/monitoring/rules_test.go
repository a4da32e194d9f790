package monitoring

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const runbook = "https://github.com/stateful-k3s/stateful-k3s/blob/main/docs/faults.md#"

type alert struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

// alerts are those of rules.yaml, by their names.
func alerts(t *testing.T) map[string]alert {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	read(t, "rules.yaml", &file)
	all := map[string]alert{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				all[rule.Alert] = rule
			}
		}
	}
	return all
}

func TestAlertsSayWhatToDo(t *testing.T) {
	faults, err := os.ReadFile("../../docs/faults.md")
	require.NoError(t, err)
	overview, err := os.ReadFile("../../docs/monitoring.md")
	require.NoError(t, err)
	for name, alert := range alerts(t) {
		assert.Contains(t, []string{"critical", "warning"}, alert.Labels["severity"], name)
		assert.NotEmpty(t, alert.Annotations["summary"], name)
		assert.Equal(t, runbook+strings.ToLower(name), alert.Annotations["runbook_url"], name)
		assert.Contains(t, string(faults), "\n### "+name+"\n", "docs/faults.md")
		assert.Contains(t, string(overview), "`"+name+"`", "docs/monitoring.md")
	}
}

func TestEachAlertFiresAndDoesNot(t *testing.T) {
	files, err := filepath.Glob("testdata/rules/*.yaml")
	require.NoError(t, err)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, name := range files {
		var file struct {
			Tests []struct {
				Rules []struct {
					Name   string           `yaml:"alertname"`
					Alerts []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		read(t, name, &file)
		for _, test := range file.Tests {
			for _, rule := range test.Rules {
				(map[bool]map[string]bool{true: fires, false: quiet})[len(rule.Alerts) > 0][rule.Name] = true
			}
		}
	}
	names := slices.Collect(maps.Keys(alerts(t)))
	assert.ElementsMatch(t, names, slices.Collect(maps.Keys(fires)), "alerts that fire in testdata/rules")
	assert.ElementsMatch(t, names, slices.Collect(maps.Keys(quiet)), "alerts that do not fire in testdata/rules")
	promtool(t, append([]string{"test", "rules"}, files...)...)
}

func TestRulesAreSound(t *testing.T) { promtool(t, "check", "rules", "--lint-fatal", "rules.yaml") }

// promtool compiles the tool the first time, for minutes.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	module, err := filepath.Abs("../../lab/tools/promtool/go.mod")
	require.NoError(t, err)
	command := exec.Command("go", append([]string{"tool", "-modfile=" + module, "promtool"}, args...)...)
	// Without what discovers targets at cloud providers. GOFLAGS also reach the compiler of the tool.
	command.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -tags=remove_all_sd")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "promtool %s:\n%s", strings.Join(args, " "), out)
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, into), path)
}
