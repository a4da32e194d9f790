package cloudnativepg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Release is a version of a project whose Go module has what installs it. The lab compiles the same version.
type Release struct {
	// Name is the project's, and Version the version's.
	Name, Version string
	// module is the Go module, sum its checksum as in a go.sum, and manifest the file in it.
	module, sum, manifest string
	// install is where the project says how people install it.
	install string
}

// Operator's and plugin's releases.
var (
	OperatorRelease = Release{
		Name: "CloudNativePG", Version: "1.30.0",
		module: "github.com/cloudnative-pg/cloudnative-pg", sum: "h1:fnhVq44xXx97MNiuvJsPrX1vSjYbgdyBK5MSGfdHdp0=",
		manifest: "releases/cnpg-1.30.0.yaml",
		install:  "https://cloudnative-pg.io/documentation/1.30/installation_upgrade/",
	}
	PluginRelease = Release{
		Name: "plugin-barman-cloud", Version: "0.14.0",
		module:   "github.com/cloudnative-pg/plugin-barman-cloud",
		sum:      "h1:kpTo7egntRIM15hvo0xtOj07wyjj23jcz/Co0KfzC7s=",
		manifest: "manifest.yaml",
		install:  "https://cloudnative-pg.io/plugin-barman-cloud/docs/installation/",
	}
)

// Pin is the line of a go.sum.
func (r Release) Pin() string { return r.module + " v" + r.Version + " " + r.sum }

// Manifest returns the objects of the release as YAML. They are in a Go module: who runs this program has Go,
// and a proxy for modules.
func (r Release) Manifest(ctx context.Context) ([]byte, error) {
	manifest, err := r.download(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting the manifest of %s %s: %w; to have it without this, install it yourself, "+
			"as %s says: the program uses one that is there", r.Name, r.Version, err, r.install)
	}
	return manifest, nil
}

func (r Release) download(ctx context.Context) ([]byte, error) {
	version := r.module + "@v" + r.Version
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", version)
	download.Dir = os.TempDir() // outside of any module, whose requirements would count
	download.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GONOSUMDB="+r.module)
	out, err := download.Output()
	var got struct{ Dir, Sum, Error string }
	if parseErr := json.Unmarshal(out, &got); parseErr != nil || got.Error != "" {
		return nil, fmt.Errorf("go mod download %s: %w", version, errors.Join(err, errors.New(got.Error)))
	}
	if got.Sum != r.sum {
		return nil, fmt.Errorf("%s has the checksum %s, and not %s: see which proxy GOPROXY names", version,
			got.Sum, r.sum)
	}
	return os.ReadFile(filepath.Join(got.Dir, r.manifest))
}
