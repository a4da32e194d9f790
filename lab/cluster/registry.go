package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

// startRegistry starts the registry with the lab's images, which stands in for Docker Hub and ghcr.io too.
func startRegistry(ctx context.Context, a access, binaries tools.Binaries) error {
	config := render("registry.yaml", map[string]any{
		"Lab": a.lab, "Key": registryKey(a.lab), "Passwords": passwordFile(a.lab),
	})
	path := a.lab.Dir("registry.yaml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	d := service(a.lab, "registry", binaries["registry"], "serve", path)
	d.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	d.Inputs = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, config, string(a.certificate))))
	if pid, _ := find(d.Lab, d.Name); pid == 0 {
		if err := checkPort(a.lab.Registry()); err != nil {
			return err
		}
	}
	if _, err := d.start(ctx); err != nil {
		return err
	}
	return d.await(ctx, 30*time.Second, a.pingRegistry)
}

func (a access) pingRegistry() error {
	transport := a.transport()
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, "https://"+a.lab.Registry()+"/v2/", nil)
	if err != nil {
		return err
	}
	request.SetBasicAuth(registryUser, a.password)
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the registry answers %s", response.Status)
	}
	return nil
}

// checkPort fails if another program listens on the address, or on its port of all addresses.
func checkPort(address string) error {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, unix.EADDRINUSE) {
		_, port, _ := strings.Cut(address, ":")
		return fmt.Errorf("another program listens on port %[1]s of all addresses: stop it, or let it listen on "+
			"127.0.0.1 only (ss --tcp --listening --processes 'sport = :%[1]s' names it)", port)
	}
	if err != nil {
		return err
	}
	return listener.Close()
}
