package tools

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
