package tools

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTraefikKnowsNoDNSService(t *testing.T) {
	modules := t.TempDir()
	dir := filepath.Join(modules, "traefik")
	for _, file := range []string{"go.mod", "go.sum", "dns/dns.go"} {
		require.NoError(t, copyFile(filepath.Join("traefik", file), filepath.Join(dir, file)))
	}
	main := filepath.Join(dir, "asks", "main.go")
	require.NoError(t, os.Mkdir(filepath.Dir(main), 0o755))
	require.NoError(t, os.WriteFile(main, []byte(`package main

import "github.com/go-acme/lego/v4/providers/dns"

func main() {
	_, err := dns.NewDNSChallengeProviderByName("route53")
	print(err.Error())
}
`), 0o644))

	asks := Tool{Name: "asks", Module: "traefik", Package: "./asks", prepare: prepareTraefik}
	have, err := Build(t.Context(), warmCache(t), modules, []Tool{asks})
	require.NoError(t, err)
	assert.Equal(t, `the lab's Traefik is compiled without clients of DNS services, so it cannot use "route53": take a released Traefik`, say(t, have["asks"]))
}
