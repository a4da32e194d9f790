package images

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stateful-k3s/stateful-k3s/lab/internal/progress"
	"github.com/stateful-k3s/stateful-k3s/lab/internal/subprocess"
)

const (
	stable = "trixie" // Debian 13
	next   = "forky"  // Debian 14
	path   = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Base returns the images that the Dockerfile and the program name, with these major versions of Postgres.
// Assembled ones consist of Debian's packages and keep as much of the official images' contracts as this
// project uses.
func Base(ctx context.Context, postgres []int) ([]Image, error) {
	golang, err := golang(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding the Go toolchain: %w", err)
	}
	base := []Image{golang, redis()}
	for _, major := range postgres {
		base = append(base, Postgres(major))
	}
	return base, nil
}

// trusted has the certificate authorities of this machine: builds use its proxies too.
const trusted = "/etc/ssl/certs/ca-certificates.crt"

// golang returns an image with this machine's Go toolchain in /usr/local/go.
// Contract: https://hub.docker.com/_/golang
func golang(ctx context.Context) (Image, error) {
	out, err := subprocess.Output(exec.CommandContext(ctx, "go", "env", "GOROOT", "GOVERSION"))
	if err != nil {
		return Image{}, err
	}
	root, installed, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !strings.HasPrefix(installed, "go1.26") {
		return Image{}, fmt.Errorf("the Dockerfile's golang:1.26-trixie wants Go 1.26, and this machine has %s: "+
			"install Go 1.26, or set GOTOOLCHAIN=go1.26.0", installed)
	}
	authorities, err := os.ReadFile(trusted)
	if err != nil {
		return Image{}, err
	}
	return debian(stable, "golang:1.26-trixie", []string{"ca-certificates", "git"}, []string{
		fmt.Sprintf("cp %s $1%s # sha256 %x", trusted, trusted, sha256.Sum256(authorities)),
		"mkdir -p $1/usr/local/go $1/go/bin $1/go/src",
		fmt.Sprintf("tar -C %s --exclude=./test --exclude=./doc --exclude=./api --exclude=testdata -c . | "+
			"tar -C $1/usr/local/go -x --no-same-owner", root),
	}, v1.Config{
		Env: []string{
			"PATH=/go/bin:/usr/local/go/bin:" + strings.TrimPrefix(path, "PATH="),
			"GOLANG_VERSION=" + strings.TrimPrefix(installed, "go"), "GOTOOLCHAIN=local", "GOPATH=/go",
		},
		WorkingDir: "/go", Cmd: []string{"bash"},
	}), nil
}

// debian returns an image of a suite of Debian with packages. accounts and hooks are shell commands that find
// the tree in $1; they run before and after the packages are installed.
func debian(suite, name string, packages, hooks []string, config v1.Config, accounts ...string) Image {
	args := []string{"--variant=minbase", "--include=" + strings.Join(packages, ",")}
	if suite != stable {
		// The lists of other suites expire after a week, and a mirror may be older. Their signatures still count.
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`,
			"--setup-hook=echo deb http://deb.debian.org/debian "+stable+
				" main >$1/etc/apt/sources.list.d/stable.list")
	}
	for _, command := range accounts {
		args = append(args, "--essential-hook="+command)
	}
	for _, hook := range hooks {
		args = append(args, "--customize-hook="+hook)
	}
	args = append(args, "--customize-hook=rm -rf $1/var/lib/apt/lists/* $1/var/cache/apt/* "+
		"$1/usr/share/doc/* $1/usr/share/man/* $1/usr/share/locale/*")
	return Image{Name: name, inputs: args, config: config, write: func(ctx context.Context, to io.Writer) error {
		return bootstrap(ctx, suite, name, args, to)
	}}
}

func bootstrap(ctx context.Context, suite, name string, args []string, to io.Writer) error {
	tmp, err := os.MkdirTemp("", "sk3s-debian-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, suite, "-")...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "SOURCE_DATE_EPOCH=0")
	cmd.Stdout = to
	log := filepath.Join(tmp, "mmdebstrap.log")
	stderr, err := os.Create(log)
	if err != nil {
		return err
	}
	defer stderr.Close()
	cmd.Stderr = stderr
	defer progress.Start("assembling the image "+name, func() string { return lastStep(log) })()
	if err := cmd.Run(); err != nil {
		out, _ := os.ReadFile(log)
		return fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	return nil
}

// lastStep returns the last step in mmdebstrap's log, or "" before the first one.
func lastStep(log string) (step string) {
	content, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if message, ok := strings.CutPrefix(line, "I: "); ok {
			step = strings.TrimRight(message, ".\n")
		}
	}
	return step
}
