package recorder

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/stretchr/testify/require"
)

// LoadProject reads Pulumi.yaml as Pulumi does.
func LoadProject(t *testing.T) *workspace.Project {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	project, err := workspace.LoadProject(filepath.Join(filepath.Dir(here), "../../../Pulumi.yaml"))
	require.NoError(t, err)
	return project
}

// Defaults returns the settings of a stack that sets none: the defaults of Pulumi.yaml.
func Defaults(t *testing.T) map[string]string {
	t.Helper()
	defaults := map[string]string{}
	for key, setting := range LoadProject(t).Config {
		defaults[key] = fmt.Sprint(setting.Default)
	}
	return defaults
}
