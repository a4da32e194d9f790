package tools

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTraefikKnowsNeitherDNSServicesNorECS(t *testing.T) {
	modules := t.TempDir()
	dir := filepath.Join(modules, "traefik")
	for _, file := range []string{"go.mod", "go.sum", "stubs/dns/dns.go", "stubs/ecs/ecs.go"} {
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

	list := exec.Command("go", "list", "-mod=readonly", "-deps", All[slices.IndexFunc(All, func(t Tool) bool { return t.Name == "traefik" })].Package)
	list.Dir = dir
	compiled, err := list.Output()
	require.NoError(t, err)
	assert.Contains(t, string(compiled), "github.com/traefik/traefik/v3/pkg/provider/ecs\n")
	assert.NotContains(t, string(compiled), "github.com/aws/aws-sdk-go")
}
