package tools

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

	asks := Tool{Name: "asks", Module: "traefik", Package: "./asks", Trimmed: trimmedTraefik}
	binary := compiled(t, Store{Cache: warmCache(t), Modules: modules}, asks)
	assert.Equal(t, "the lab's Traefik is compiled without clients of DNS services, so it cannot use "+
		"\"route53\": take a released Traefik", say(t, binary))

	list := exec.Command("go", "list", "-mod=readonly", "-deps",
		All[slices.IndexFunc(All, func(t Tool) bool { return t.Name == "traefik" })].Package)
	list.Dir = dir
	compiled, err := list.Output()
	require.NoError(t, err)
	assert.Contains(t, string(compiled), "github.com/traefik/traefik/v3/pkg/provider/ecs\n")
	assert.NotContains(t, string(compiled), "github.com/aws/aws-sdk-go")
}

// Traefik and k3s share compiled packages only if they require and replace the same versions.
func TestTraefikAndK3sHaveTheSameKubernetes(t *testing.T) {
	k3s, traefik := pins(t, "kubernetes"), pins(t, "traefik")
	shared := regexp.MustCompile(`^(k8s\.io/|sigs\.k8s\.io/(json|randfill|structured-merge-diff|yaml)|` +
		`golang\.org/x/(crypto|net|oauth2|sys|term|text|time)$|google\.golang\.org/protobuf$|` +
		`github\.com/go-openapi/|github\.com/json-iterator/go$)`)
	count := 0
	for module, pin := range traefik {
		if shared.MatchString(module) {
			assert.Equal(t, k3s[module], pin, module)
			count++
		}
	}
	assert.Greater(t, count, 20)
}

// pins returns the versions that a module requires, with their replacements.
func pins(t *testing.T, module string) map[string]string {
	t.Helper()
	type version struct{ Path, Version string }
	var file struct {
		Require []version
		Replace []struct{ Old, New version }
	}
	out, err := exec.Command("go", "mod", "edit", "-json", filepath.Join(module, "go.mod")).Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &file))
	pins := map[string]string{}
	for _, m := range file.Require {
		pins[m.Path] = m.Version
	}
	for _, r := range file.Replace {
		if version, is := pins[r.Old.Path]; is {
			pins[r.Old.Path] = version + " => " + r.New.Path + " " + r.New.Version
		}
	}
	return pins
}
