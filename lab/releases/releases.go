// Package releases downloads the files of projects' releases and verifies their checksums.
package releases

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/patience"
)

// Setting is the environment variable that names a mirror of the releases, or Off.
const Setting = "STATEFUL_K3S_RELEASES"

// Off is the value of Setting that turns downloads off.
const Off = "off"

// ErrUnavailable says that a host cannot be reached, or does not publish the file or its checksum.
var ErrUnavailable = errors.New("not available")

// Asset is a file of a release.
type Asset struct {
	// Repository is the host and path of the project, such as "github.com/k3s-io/k3s".
	Repository, Tag, Name string
	// Checksums are the names of assets that may have its checksum, the preferred one first.
	Checksums []string
}

// Host serves releases at the paths of GitHub.
type Host struct {
	// mirror replaces the scheme and host of each repository, unless it is empty.
	mirror string
	client *http.Client
	pause  time.Duration // between two attempts
}

// FromEnvironment returns the mirror that Setting names, or the projects' own hosts. ok is false if it is
// Off.
func FromEnvironment() (host Host, ok bool, err error) {
	mirror := strings.TrimSuffix(os.Getenv(Setting), "/")
	if mirror == Off {
		return Host{}, false, nil
	}
	if u, err := url.Parse(mirror); mirror != "" &&
		(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return Host{}, false, fmt.Errorf(
			"%s: %q is neither a URL nor %q: set it to a mirror's, for example https://mirror.example.com", Setting,
			mirror, Off)
	}
	return newHost(mirror), true, nil
}

func newHost(mirror string) Host {
	return Host{mirror: mirror, pause: 2 * time.Second,
		client: &http.Client{Transport: patience.Transport(10*time.Second, 20*time.Second)}}
}

// URL returns the address of an asset's release, for the asset itself or another file of the release.
func (h Host) URL(asset Asset, file string) string {
	repository := "https://" + asset.Repository
	if h.mirror != "" {
		_, project, _ := strings.Cut(asset.Repository, "/")
		repository = h.mirror + "/" + project
	}
	return repository + "/" + path.Join("releases/download", url.PathEscape(asset.Tag), file)
}

// Get downloads an asset into the directory and returns its path. It resumes an interrupted download. After
// ErrUnavailable another source may be tried; any other error needs the user.
func (h Host) Get(ctx context.Context, asset Asset, dir string) (string, error) {
	want, from, err := h.checksum(ctx, asset)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	complete := filepath.Join(dir, asset.Name)
	partial := complete + ".partial"
	address := h.URL(asset, asset.Name)
	resumed, err := h.download(ctx, address, partial)
	if err != nil {
		return "", err
	}
	got, err := sum(partial)
	if err != nil {
		return "", err
	}
	if got != want {
		if err := os.Remove(partial); err != nil {
			return "", err
		}
		if resumed { // the beginning may have come from elsewhere
			return h.Get(ctx, asset, dir)
		}
		return "", fmt.Errorf("%s has the SHA-256 checksum %s, and %s says %s: it was changed or damaged on "+
			"its way, and is deleted. Try again; if it stays so, ask who runs the server, or compile instead with "+
			"%s=%s", address, got, from, want, Setting, Off)
	}
	return complete, os.Rename(partial, complete)
}
