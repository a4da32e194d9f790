package images

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/subprocess"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// Names of the images that k3s, its add-ons and operators run.
const (
	Pause                = "rancher/mirrored-pause:3.6"
	CoreDNS              = "rancher/mirrored-coredns-coredns:1.13.1"
	LocalPathProvisioner = "rancher/local-path-provisioner:v0.0.37"
	Busybox              = "busybox:1.35"
	Traefik              = "traefik:v3.6.12"
	CloudNativePG        = "ghcr.io/cloudnative-pg/cloudnative-pg:1.30.0"
	BarmanCloud          = "ghcr.io/cloudnative-pg/plugin-barman-cloud:v0.14.0"
	BarmanCloudSidecar   = "ghcr.io/cloudnative-pg/plugin-barman-cloud-sidecar:v0.14.0"
)

const busybox = "/bin/busybox"

// System returns the images of k3s and its add-ons. Only assembling one needs its binary.
func System(ctx context.Context, binaries tools.Binaries) ([]Image, error) {
	out, err := subprocess.Output(exec.CommandContext(ctx, busybox, "--list"))
	if err != nil {
		return nil, fmt.Errorf("listing busybox's applets: %w", err)
	}
	files := []file{{path: "bin/", mode: 0o755}, {path: "tmp/", mode: 0o1777},
		{path: "bin/busybox", mode: 0o755, from: busybox}}
	for _, applet := range strings.Fields(string(out)) {
		if applet != "busybox" {
			files = append(files, file{path: "bin/" + applet, mode: 0o777, link: "busybox"})
		}
	}
	return []Image{
		{
			Name: Busybox, inputs: []string{string(out)}, write: scratch(files...),
			config: v1.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/bin"}},
		},
		single(Pause, "pause", binaries, "/pause"),
		single(CoreDNS, "coredns", binaries, "/coredns"),
		single(LocalPathProvisioner, "local-path-provisioner", binaries, "/usr/bin/local-path-provisioner"),
		single(Traefik, "traefik", binaries, "/traefik"),
	}, nil
}

// single returns the image of one static program.
func single(name, tool string, binaries tools.Binaries, path string) Image {
	binary := binaries[tool]
	return Image{
		Name: name, Tool: tool, inputs: []string{binary},
		write: scratch(file{path: strings.TrimPrefix(path, "/"), mode: 0o755, from: binary},
			file{path: "tmp/", mode: 0o1777}),
		config: v1.Config{Entrypoint: []string{path}, Env: []string{"PATH=/usr/bin"}},
	}
}

// cloudNativePG returns the operator's image. It looks for itself by the architecture, and copies what it
// finds into the pods of databases.
func cloudNativePG(binaries tools.Binaries) Image {
	const program = "operator/manager_" + tools.Architecture
	binary := binaries[tools.CloudNativePG]
	return Image{
		Name: CloudNativePG, Tool: tools.CloudNativePG, inputs: []string{binary},
		write: scratch(file{path: "operator/", mode: 0o755}, file{path: program, mode: 0o755, from: binary},
			file{path: "manager", mode: 0o777, link: program}, file{path: "tmp/", mode: 0o1777}),
		config: v1.Config{Entrypoint: []string{"/manager"}, User: "65532:65532"},
	}
}

// barmanCloud returns the images of the plugin and of its program beside each server, which runs Barman's
// programs. Barman is of the first release of Debian that has the version that the plugin expects.
func barmanCloud(binaries tools.Binaries) []Image {
	binary := binaries[tools.BarmanCloud]
	sidecar := debian(next, BarmanCloudSidecar, []string{"barman-cli-cloud", "python3-boto3"},
		[]string{"cp " + binary + " $1/manager"}, v1.Config{
			Env: []string{path}, Entrypoint: []string{"/manager"}, User: "26:26",
		})
	sidecar.Tool = tools.BarmanCloud
	return []Image{single(BarmanCloud, tools.BarmanCloud, binaries, "/manager"), sidecar}
}

// file is a file of a system image. Without from and link it is a directory.
type file struct {
	path string
	mode int64
	from string // its source on this machine
	link string // the target of a symbolic link
}

// scratch writes the files of an image as a tar stream.
func scratch(files ...file) func(context.Context, io.Writer) error {
	return func(_ context.Context, to io.Writer) error {
		archive := tar.NewWriter(to)
		for _, f := range files {
			header := &tar.Header{Name: f.path, Mode: f.mode, Typeflag: tar.TypeReg}
			var content []byte
			switch {
			case f.link != "":
				header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
			case f.from != "":
				var err error
				if content, err = os.ReadFile(f.from); err != nil {
					return err
				}
				header.Size = int64(len(content))
			default:
				header.Typeflag = tar.TypeDir
			}
			if err := archive.WriteHeader(header); err != nil {
				return err
			}
			if _, err := io.Copy(archive, bytes.NewReader(content)); err != nil {
				return err
			}
		}
		return archive.Close()
	}
}
