// Package npm gets files of packages from the npm registry, and installs nothing.
package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Package is one version of a package.
type Package struct {
	Name, Version string
	// Integrity is as in package-lock.json: "sha512-" and the SHA-512 in base64.
	Integrity string
}

// File returns a file of the package, such as "lib/index.js". npm downloads the package unless the folder
// cache has it. A package of another integrity is an error.
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
	file := filepath.Join(cache, p.Name+"-"+p.Version+".tgz") // npm's name for it
	if archive, err := os.ReadFile(file); err == nil && p.check(archive) == nil {
		return archive, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	download := exec.CommandContext(ctx, "npm", "pack", "--pack-destination", cache, p.Name+"@"+p.Version)
	if out, err := download.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%sIs npm installed, and the registry in reach? "+
			"npm_config_registry can name another", strings.Join(download.Args, " "), err, out)
	}
	archive, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return archive, p.check(archive)
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
