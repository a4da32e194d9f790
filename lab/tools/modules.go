package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/subprocess"
)

// ModuleDir returns the directory in the module cache of a module, in the version that the module in dir
// requires. It downloads it if necessary. A replacement by a local copy does not count.
func ModuleDir(ctx context.Context, dir, module string) (string, error) {
	return moduleDir(ctx, dir, module, append(os.Environ(), "GOFLAGS=", "GOWORK=off"))
}

func moduleDir(ctx context.Context, dir, module string, env []string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f",
		"{{if or (not .Replace) .Replace.Version}}{{.Path}}{{else}}{{.Path}}@{{.Version}}{{end}}", module)
	list.Dir, list.Env = dir, env
	pinned, err := subprocess.Output(list)
	if err != nil {
		return "", fmt.Errorf("looking up the version of %s in %s: %w", module, dir, err)
	}
	defer progress.Start("getting the module "+strings.TrimSpace(string(pinned)), nil)()
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", strings.TrimSpace(string(pinned)))
	download.Dir, download.Env = dir, env
	out, err := subprocess.Output(download)
	var downloaded struct{ Dir, Error string }
	if parseErr := json.Unmarshal(out, &downloaded); parseErr != nil || downloaded.Dir == "" {
		return "", fmt.Errorf("downloading %s: %w: %s", module, err, downloaded.Error)
	}
	return downloaded.Dir, nil
}
