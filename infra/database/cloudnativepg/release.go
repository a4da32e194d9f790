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

// The release of the operator, which the lab compiles too.
const (
	Version = "1.30.0"
	module  = "github.com/cloudnative-pg/cloudnative-pg"
	sum     = "h1:fnhVq44xXx97MNiuvJsPrX1vSjYbgdyBK5MSGfdHdp0="

	// Pin is the line of a go.sum.
	Pin = module + " v" + Version + " " + sum
)

// Release returns the manifest of the operator's release. It is in the operator's Go module: who runs this
// program has Go, and a proxy for modules.
func Release(ctx context.Context) ([]byte, error) {
	manifest, err := release(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting the manifest of CloudNativePG %s: %w; to have it without this, install "+
			"the operator yourself, as https://cloudnative-pg.io/documentation/1.30/installation_upgrade/ says: "+
			"the program uses one that is there", Version, err)
	}
	return manifest, nil
}

func release(ctx context.Context) ([]byte, error) {
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@v"+Version)
	download.Dir = os.TempDir() // outside of any module, whose requirements would count
	download.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GONOSUMDB="+module)
	out, err := download.Output()
	var got struct{ Dir, Sum, Error string }
	if parseErr := json.Unmarshal(out, &got); parseErr != nil || got.Error != "" {
		return nil, fmt.Errorf("go mod download %s@v%s: %w", module, Version,
			errors.Join(err, errors.New(got.Error)))
	}
	if got.Sum != sum {
		return nil, fmt.Errorf("%s@v%s has the checksum %s, and not %s: see which proxy GOPROXY names", module,
			Version, got.Sum, sum)
	}
	return os.ReadFile(filepath.Join(got.Dir, "releases", "cnpg-"+Version+".yaml"))
}
