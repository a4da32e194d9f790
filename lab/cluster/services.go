package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// service is a daemon of the lab's own, as opposed to a node of the cluster.
func service(lab layout.Lab, name string, args ...string) daemon {
	return daemon{
		Lab: lab.Name, Name: name, Args: args, Log: lab.Dir("log", name+".log"),
		Cgroup: lab.ID() + "/" + name, RunDir: lab.Dir("run", name), Grace: 5 * time.Second,
	}
}

// portFree fails when another program listens there, or on the port of all addresses.
func portFree(address string) error {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, unix.EADDRINUSE) {
		_, port, _ := strings.Cut(address, ":")
		return fmt.Errorf("another program listens on port %[1]s of all addresses: stop it, or have it listen on 127.0.0.1 only (ss --tcp --listening --processes 'sport = :%[1]s' names it)", port)
	}
	if err != nil {
		return err
	}
	return listener.Close()
}

// buildkitUp starts the builder of the app images. Builds share the machine's
// network: they fetch Go modules the way the machine does.
func buildkitUp(ctx context.Context, a access, binaries tools.Binaries, owner Owner) error {
	lab := a.lab
	config := fmt.Sprintf(`root = %q
[grpc]
  address = ["unix://%s"]
  uid = %d
  gid = %d
[worker.oci]
  binary = %q
  networkMode = "host"
  defaultCgroupParent = "/%s/builds"
  gc = true
  maxUsedSpace = "5GB"
[worker.containerd]
  enabled = false
[registry."docker.io"]
  mirrors = [%q]
[registry.%q]
  ca = [%q]
`, lab.Builder(), lab.BuildkitSocket(), owner.UID, owner.GID, binaries["runc"], lab.ID(), lab.Registry(),
		lab.Registry(), lab.RegistryCertificate())
	path := lab.Dir("buildkitd.toml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	d := service(lab, "buildkitd", binaries["buildkitd"], "--config", path)
	d.Env = []string{"PATH=" + filepath.Dir(binaries["runc"]) + ":" + systemPath}
	d.Inputs = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, config, string(a.certificate))))
	if _, err := d.start(ctx); err != nil {
		return err
	}
	return d.await(ctx, 30*time.Second, func() error {
		connection, err := net.Dial("unix", lab.BuildkitSocket())
		if err != nil {
			return err
		}
		return connection.Close()
	})
}
