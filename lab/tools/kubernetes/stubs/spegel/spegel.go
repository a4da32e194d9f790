// Package spegel knows no embedded registry mirror.
package spegel

import (
	"context"
	"errors"

	"github.com/k3s-io/k3s/pkg/agent/https"
	"github.com/k3s-io/k3s/pkg/daemons/config"
)

// Config stands for k3s's type of the same name.
type Config struct {
	ClientCAFile, ClientCertFile, ClientKeyFile string
	ServerCAFile, ServerCertFile, ServerKeyFile string
	ExternalAddress, InternalAddress            string
	RegistryPort                                string
	PSK                                         []byte
	Bootstrapper                                Bootstrapper
	Router                                      https.RouterFunc
}

// DefaultRegistry is what k3s configures, also where it does not start it.
var DefaultRegistry = &Config{}

// Start always fails.
func (c *Config) Start(context.Context, *config.Node, <-chan struct{}) error {
	return errors.New("the lab's k3s is compiled without the embedded registry mirror: take a released k3s")
}

// InjectMirror does nothing.
func (c *Config) InjectMirror(*config.Node) error { return nil }

// Bootstrapper would find peers.
type Bootstrapper any

// NewSelfBootstrapper finds nobody.
func NewSelfBootstrapper() Bootstrapper { return nil }

// NewAgentBootstrapper finds nobody.
func NewAgentBootstrapper(_, _, _ string) Bootstrapper { return nil }

// NewServerBootstrapper finds nobody.
func NewServerBootstrapper(*config.Control) Bootstrapper { return nil }

// NewChainingBootstrapper finds nobody.
func NewChainingBootstrapper(...Bootstrapper) Bootstrapper { return nil }
