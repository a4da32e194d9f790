// Package releases gets files that projects publish with their releases, and
// takes none whose checksum is not the published one.
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

// Off is the value of Setting with which nothing is downloaded.
const Off = "off"

// ErrUnavailable says that a file is not to be had: its host cannot be reached,
// or the project does not publish the file or its checksum.
var ErrUnavailable = errors.New("not available")

// Release is one version that a project published.
type Release struct {
	// Repository is the host and path of the project, such as "github.com/k3s-io/k3s".
	Repository string
	Tag        string
}

// File is one file of a release.
type File struct {
	Name string
	// Checksums are the names of files that may hold its checksum, the best first.
	Checksums []string
}

// Host has releases at the addresses that GitHub gives them.
type Host struct {
	// mirror stands for https:// and the host of each repository; empty for the projects' own.
	mirror string
	client *http.Client
	// pause comes between two attempts.
	pause time.Duration
}

// FromEnvironment is the host that Setting names, or the projects' own without
// it; ok is false when it is Off. It fails when the setting is no URL.
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
		client: &http.Client{Transport: patience.Transport(20 * time.Second)}}
}

// URL is where a file of a release lies.
func (h Host) URL(release Release, file string) string {
	repository := "https://" + release.Repository
	if h.mirror != "" {
		_, project, _ := strings.Cut(release.Repository, "/")
		repository = h.mirror + "/" + project
	}
	return repository + "/" + path.Join("releases/download", url.PathEscape(release.Tag), file)
}

// Get writes a file of a release to the directory and returns its path there.
// What an interrupted call left of it is taken up again. The error is
// ErrUnavailable if another source has to be tried; any other needs the user.
func (h Host) Get(ctx context.Context, release Release, file File, dir string) (string, error) {
	want, from, err := h.checksum(ctx, release, file)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	complete := filepath.Join(dir, file.Name)
	partial := complete + ".partial"
	address := h.URL(release, file.Name)
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
			return h.Get(ctx, release, file, dir)
		}
		return "", fmt.Errorf("%s has the SHA-256 checksum %s, and %s says %s: it was changed or damaged on its way, and is deleted. "+
			"Try again; if it stays so, ask who runs the server, or compile instead with %s=%s", address, got, from,
			want, Setting, Off)
	}
	return complete, os.Rename(partial, complete)
}
