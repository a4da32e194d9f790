package recorder

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/stretchr/testify/require"
)

// LoadProject reads Pulumi.yaml as Pulumi does.
func LoadProject(t *testing.T) *workspace.Project {
	t.Helper()
	project, err := loadProject()
	require.NoError(t, err)
	return project
}

// loadProject validates against Pulumi's schema, which takes too long to do for each test.
var loadProject = sync.OnceValues(func() (*workspace.Project, error) {
	_, here, _, _ := runtime.Caller(0)
	return workspace.LoadProject(filepath.Join(filepath.Dir(here), "../../../Pulumi.yaml"))
})

// Defaults returns the settings of a stack that sets none: the defaults of Pulumi.yaml.
func Defaults(t *testing.T) map[string]string {
	t.Helper()
	defaults := map[string]string{}
	for key, setting := range LoadProject(t).Config {
		defaults[key] = fmt.Sprint(setting.Default)
	}
	return defaults
}
