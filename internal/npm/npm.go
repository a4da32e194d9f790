// Package npm gets files of packages from the npm registry, and installs nothing.
package npm

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// timeout bounds the download of a package.
const timeout = 2 * time.Minute

// Package is one version of a package.
type Package struct {
	Name, Version string
	// Integrity is as in package-lock.json: "sha512-" and the SHA-512 in base64.
	Integrity string
}

// File returns a file of the package, such as "lib/index.js". It downloads the package unless the folder
// cache has it, from the registry in the variable npm_config_registry, or else from npm's own. A package of
// another integrity is an error and not kept.
func (p Package) File(ctx context.Context, cache, name string) ([]byte, error) {
	archive, err := p.get(ctx, cache)
	if err != nil {
		return nil, fmt.Errorf("get %s %s of npm: %w", p.Name, p.Version, err)
	}
	content, err := unpack(archive, "package/"+name)
	if err != nil {
		return nil, fmt.Errorf("unpack %s of npm's %s %s: %w", name, p.Name, p.Version, err)
	}
	return content, nil
}

func (p Package) get(ctx context.Context, cache string) ([]byte, error) {
	file := path.Base(p.Name) + "-" + p.Version + ".tgz"
	cached := filepath.Join(cache, file)
	if archive, err := os.ReadFile(cached); err == nil && p.check(archive) == nil {
		return archive, nil
	}
	registry, err := registry(ctx)
	if err != nil {
		return nil, err
	}
	address := strings.TrimSuffix(registry, "/") + "/" + p.Name + "/-/" + file
	archive, err := download(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("%w: is the registry out of reach? npm_config_registry can name another", err)
	}
	if err := p.check(archive); err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return archive, errors.Join(os.MkdirAll(cache, 0o755), os.WriteFile(cached, archive, 0o644))
}

// registry returns the address in npm's variable, in either case, or else the one that npm is configured
// with.
func registry(ctx context.Context) (string, error) {
	if set := cmp.Or(os.Getenv("npm_config_registry"), os.Getenv("NPM_CONFIG_REGISTRY")); set != "" {
		return set, nil
	}
	answer, err := exec.CommandContext(ctx, "npm", "config", "get", "registry").Output()
	if err != nil {
		return "", fmt.Errorf("ask npm for its registry: %w: "+
			"set npm_config_registry to its address, or install npm", err)
	}
	return strings.TrimSpace(string(answer)), nil
}

func download(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	return io.ReadAll(response.Body)
}

func (p Package) check(archive []byte) error {
	sum := sha512.Sum512(archive)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != p.Integrity {
		return fmt.Errorf("its integrity is %s instead of %s: it was changed or damaged on its way", got,
			p.Integrity)
	}
	return nil
}

func unpack(archive []byte, name string) ([]byte, error) {
	stream, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	for entries := tar.NewReader(stream); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil, fs.ErrNotExist
		}
		if err != nil {
			return nil, err
		}
		if entry.Name == name {
			return io.ReadAll(entries)
		}
	}
}
