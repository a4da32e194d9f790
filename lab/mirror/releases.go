package mirror

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// release writes a file with its tools, and the file of its checksum, where the releases' host has them.
// A file that is there already, such as a real release, is left as it is.
func release(ctx context.Context, p tools.Publication, binaries tools.Binaries, source, dir string) error {
	_, project, _ := strings.Cut(p.Repository, "/")
	dir = filepath.Join(dir, project, "releases", "download", p.Tag)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, p.Name)
	if _, err := os.Stat(path); err != nil {
		partial := path + ".partial"
		if err := os.RemoveAll(partial); err != nil {
			return err
		}
		if err := write(ctx, p, binaries, source, partial); err != nil {
			return err
		}
		if err := os.Rename(partial, path); err != nil {
			return err
		}
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
	sums := filepath.Join(dir, p.Checksums[0])
	return os.WriteFile(sums, []byte(checksums(p, hex.EncodeToString(hash.Sum(nil)))), 0o644)
}

// checksums are in the form that the project publishes them in.
func checksums(p tools.Publication, sum string) string {
	switch {
	case strings.HasSuffix(p.Checksums[0], ".json"):
		return fmt.Sprintf(`{"subject": [{"name": %q, "digest": {"sha256": %q}}]}`, p.Name, sum)
	case p.Tools[0].Tool == "registry":
		return sum + "\n"
	default:
		return sum + "  " + p.Name + "\n"
	}
}

func write(ctx context.Context, p tools.Publication, binaries tools.Binaries, source, path string) error {
	if p.Form == tools.SelfExtracting {
		build := exec.CommandContext(ctx, "go", "build", "-o", path, "./mirror/selfextract")
		build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
		if said, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("compiling what extracts itself: %w\n%s", err, said)
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o755)
	if err != nil {
		return err
	}
	defer file.Close()
	switch p.Form {
	case tools.Archive:
		err = writeArchive(file, p, binaries)
	case tools.SelfExtracting:
		err = appendZIP(file, p, binaries)
	default:
		err = copyFile(file, binaries[p.Tools[0].Tool])
	}
	if err != nil {
		return err
	}
	return file.Close()
}

func writeArchive(to io.Writer, p tools.Publication, binaries tools.Binaries) error {
	compressed, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, m := range p.Tools {
		info, err := os.Stat(binaries[m.Tool])
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: m.Path, Mode: 0o755, Size: info.Size(),
			Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if err := copyFile(archive, binaries[m.Tool]); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func appendZIP(to io.Writer, p tools.Publication, binaries tools.Binaries) error {
	archive := zip.NewWriter(to)
	for _, m := range p.Tools {
		header := &zip.FileHeader{Name: m.Tool, Method: zip.Store}
		header.SetMode(0o755)
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if err := copyFile(entry, binaries[m.Tool]); err != nil {
			return err
		}
	}
	return archive.Close()
}

func copyFile(to io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(to, file)
	return err
}
