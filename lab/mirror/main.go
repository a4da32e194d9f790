// Command mirror serves what the lab's cache has in the way that the internet does: tools as releases of
// their projects, with checksums, and images in a registry. With it a test gets both from there. It prints
// the settings that lead to it, and ends with its standard input.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/releases"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func main() {
	if err := serve(context.Background(), ".."); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, checkout string) error {
	dir, err := os.MkdirTemp("", "sk3s-mirror-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files, blobs := filepath.Join(dir, "files"), filepath.Join(dir, "blobs")
	if err := os.Mkdir(blobs, 0o755); err != nil {
		return err
	}
	cache, err := layout.DefaultCache()
	if err != nil {
		return err
	}
	store := tools.NewStore(cache, filepath.Join(checkout, "lab", "tools"))
	binaries, _, err := store.Find(tools.All)
	if err != nil {
		return err
	}
	for _, r := range tools.Published(runtime.GOARCH) {
		if slices.ContainsFunc(r.Tools, func(m tools.Member) bool { return binaries[m.Tool] == "" }) {
			continue // its image was pulled
		}
		if err := writeRelease(files, r, binaries); err != nil {
			return fmt.Errorf("writing the release %s: %w", r.Name, err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(files)))
	mux.Handle("/v2/", registry.New(registry.Logger(log.New(io.Discard, "", 0)),
		registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs))))
	server := httptest.NewServer(mux)
	defer server.Close()
	base, system, err := images.All(ctx, store, images.Wanted{Postgres: []int{images.DefaultPostgres}})
	if err != nil {
		return err
	}
	address := server.Listener.Addr().String()
	if err := images.Push(ctx, cache, address, slices.Concat(base, system)); err != nil {
		return err
	}
	fmt.Printf("%s=%s\n%s=%s\n", releases.Setting, server.URL, images.Setting, address)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// writeRelease writes a release and its checksum to the path that they have on GitHub.
func writeRelease(dir string, r tools.Release, binaries tools.Binaries) error {
	dir = filepath.Join(dir, strings.TrimPrefix(r.Repository, "github.com/"), "releases", "download", r.Tag)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, r.Name)
	var err error
	switch {
	case r.SelfExtracting:
		err = os.WriteFile(path, []byte(selfExtracting(r, binaries)), 0o755)
	case strings.HasSuffix(r.Name, "gz"):
		err = writeArchive(path, r, binaries)
	default:
		err = os.Symlink(binaries[r.Tools[0].Tool], path)
	}
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	checksum := fmt.Sprintf("%x  %s\n", hash.Sum(nil), r.Name)
	if strings.HasSuffix(r.Checksums[0], ".json") {
		checksum = fmt.Sprintf(`{"subject": [{"name": %q, "digest": {"sha256": "%x"}}]}`, r.Name, hash.Sum(nil))
	}
	return os.WriteFile(filepath.Join(dir, r.Checksums[0]), []byte(checksum), 0o644)
}

// selfExtracting is a script that extracts the tools as k3s does.
func selfExtracting(r tools.Release, binaries tools.Binaries) string {
	script := "#!/bin/sh\nbin=$K3S_DATA_DIR/data/current/bin\nmkdir -p $bin\n"
	for _, m := range r.Tools {
		script += fmt.Sprintf("cp %s $bin/%s\n", binaries[m.Tool], m.Tool)
	}
	return script
}

func writeArchive(path string, r tools.Release, binaries tools.Binaries) error {
	members := path + ".members"
	for _, m := range r.Tools {
		link := filepath.Join(members, m.Path)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(binaries[m.Tool], link); err != nil {
			return err
		}
	}
	out, err := exec.Command("tar", "--create", "--use-compress-program=gzip --fast", "--dereference",
		"--file="+path, "--directory="+members, ".").CombinedOutput()
	if err != nil {
		return fmt.Errorf("tar: %w\n%s", err, out)
	}
	return nil
}
