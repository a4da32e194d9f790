package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Go reads the proxy variables once per process, so no other test in this package may.
func TestNoProxyIsAskedForTheLab(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.example.com:3128")
	t.Setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "own.example.com")
	require.NoError(t, bypassProxies())
	require.NoError(t, bypassProxies()) // as in a lab command under sudo

	for url, asked := range map[string]bool{
		"https://10.231.188.1:5000/v2/":    false,
		"https://10.231.188.10:6443/api":   false,
		"http://10.42.0.7:8080/":           false,
		"https://10.43.0.1/":               false,
		"http://storage-svc.storage.svc/":  false,
		"http://own.example.com/":          false,
		"https://registry-1.docker.io/v2/": true,
		"http://deb.debian.org/debian":     true,
	} {
		request, err := http.NewRequest(http.MethodGet, url, nil)
		require.NoError(t, err)
		proxy, err := http.ProxyFromEnvironment(request)
		require.NoError(t, err)
		assert.Equal(t, asked, proxy != nil, url)
	}
}
