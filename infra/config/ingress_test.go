package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// ingressHost is the host of the Ingresses for some settings, in a lab with or without an address.
func ingressHost(t *testing.T, address string, settings map[string]string) string {
	t.Helper()
	t.Setenv("STATEFUL_K3S_REGISTRY", "registry.example.com")
	t.Setenv("STATEFUL_K3S_INGRESS_ADDRESS", address)
	cfg, err := load(t, settings)
	require.NoError(t, err)
	return cfg.Ingress.Host
}

func TestStacksOfOneLabHaveHostsOfTheirOwn(t *testing.T) {
	const address = "10.231.1.2"
	require.Equal(t, "", ingressHost(t, address, nil))
	require.Equal(t, "alice.10.231.1.2.sslip.io",
		ingressHost(t, address, map[string]string{"namePrefix": "alice-"}))
	require.Equal(t, "a.example.com",
		ingressHost(t, address, map[string]string{"namePrefix": "alice-", "ingressHost": "a.example.com"}))
	require.Equal(t, "a.example.com",
		ingressHost(t, "", map[string]string{"namePrefix": "alice-", "ingressHost": "a.example.com"}))
}

func TestNoIngress(t *testing.T) {
	noEnvironment(t)
	cfg, err := load(t, map[string]string{"registry": "registry.example.com", "namePrefix": "alice-",
		"ingressClass": "none"})
	require.NoError(t, err)
	require.Nil(t, cfg.Ingress)
}
