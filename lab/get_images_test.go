package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stateful-k3s/stateful-k3s/lab/images"
	"github.com/stateful-k3s/stateful-k3s/lab/layout"
	"github.com/stateful-k3s/stateful-k3s/lab/tools"
)

func TestTheLabHasThePostgresThatTheSettingsName(t *testing.T) {
	dir := t.TempDir()
	lab, err := layout.New("dev", dir, dir)
	require.NoError(t, err)
	for settings, want := range map[string][]int{
		"":                              {18},
		"config: {}":                    {18},
		"config: {p:postgresImage: ''}": {18},
		"config: {p:postgresImage: 'postgres:17'}":                      {17, 18},
		"config: {p:postgresImage: docker.io/library/postgres:17}":      {17, 18},
		"config: {p:databases: [{name: a}, {image: 'postgres:17'}]}":    {17, 18},
		"config: {p:databases: [{image: postgres:19}], x: postgres:18}": {18, 19},
		"config: {p:postgresImage: postgres:18.1-trixie}":               {18},
		"config: {p:postgresImage: 'example.com/postgres:17'}":          {18},
		"config: {p:postgresImage: 'postgres:17@sha256:00'}":            {18},
		"config: {p:namePrefix: a} # postgres:17":                       {18},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.dev.yaml"), []byte(settings), 0o600))
		read, err := readSettings(lab)
		require.NoError(t, err, settings)
		assert.Equal(t, images.Wanted{Postgres: want}, wantedImages(read), settings)
	}
}

func TestTheLabHasTheOperatorThatTheSettingsName(t *testing.T) {
	for settings, want := range map[string]bool{
		"{p:engine: cloudnative-pg}":                         true,
		"{p:databases: [{name: a, engine: cloudnative-pg}]}": true,
		"{p:engine: statefulset}":                            false,
		"{p:namePrefix: cloudnative-pg-}":                    false,
	} {
		assert.Equal(t, want, wantedBy(t, settings).CloudNativePG, settings)
	}
}

// wantedBy returns what settings in YAML want.
func wantedBy(t *testing.T, settings string) images.Wanted {
	t.Helper()
	var read map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(settings), &read))
	return wantedImages(read)
}

func TestTheLabHasThePluginIfTheOperatorArchives(t *testing.T) {
	for settings, want := range map[string]bool{
		"{}":                         false,
		"{p:engine: cloudnative-pg}": true,
		"{p:engine: cloudnative-pg, p:archive: 'false'}":                               false,
		"{p:engine: statefulset, p:archive: 'true'}":                                   false,
		"{p:databases: [{engine: cloudnative-pg}]}":                                    true,
		"{p:databases: [{engine: cloudnative-pg, archive: false}]}":                    false,
		"{p:archive: false, p:databases: [{engine: cloudnative-pg, archive: true}]}":   true,
		"{p:archive: false, p:databases: [{engine: cloudnative-pg, archive: 'no'}]}":   false,
		"{p:engine: cloudnative-pg, p:archive: false, p:databases: [{archive: true}]}": true,
		"{p:databases: [nonsense]}":                                                    false,
	} {
		assert.Equal(t, want, wantedBy(t, settings).BarmanCloud, settings)
	}
}

func TestTheLabHasPrometheusIfTheSettingsSaySo(t *testing.T) {
	for monitoring, want := range map[string]bool{"builtin": true, "none": false, "operator": false} {
		assert.Equal(t, want, wantedImages(map[string]any{"p:monitoring": monitoring}).Prometheus, monitoring)
	}
}

func TestTheLabHasTheValkeyThatTheSettingsName(t *testing.T) {
	for image, want := range map[string]bool{images.Valkey: true, "redis:8": false, "valkey/valkey:8": false} {
		assert.Equal(t, want, wantedImages(map[string]any{"p:redisImage": image}).Valkey, image)
	}
}

// A stack without the operator does not wait until it is compiled.
func TestOptionalToolsAreGotForTheirImagesAlone(t *testing.T) {
	dir := t.TempDir()
	lab, err := layout.New("dev", dir, dir)
	require.NoError(t, err)
	names := func(system ...images.Image) (names []string) {
		for _, tool := range neededTools(lab, system) {
			names = append(names, tool.Name)
		}
		return names
	}
	plain := names(images.Image{Name: images.Traefik, Tool: "traefik"})
	assert.Contains(t, plain, "traefik")
	assert.NotContains(t, plain, tools.CloudNativePG)
	assert.Contains(t, names(images.Image{Name: images.CloudNativePG, Tool: tools.CloudNativePG}),
		tools.CloudNativePG)
}

func TestTestsRunThePostgresThatTheirVariableNames(t *testing.T) {
	for value, want := range map[string]string{"": "postgres:18", "17": "postgres:17"} {
		t.Setenv(postgresVariable, value)
		image, err := postgresOfTests()
		require.NoError(t, err)
		assert.Equal(t, want, image.Name)
	}
	t.Setenv(postgresVariable, "postgres:18")
	_, err := postgresOfTests()
	require.EqualError(t, err,
		`POSTGRES: "postgres:18" is no major version of Postgres; for example: POSTGRES=17`)
}

func TestAPostgresThatDebianLacksIsToldAtOnce(t *testing.T) {
	require.ErrorContains(t, images.Assemble(t.Context(), t.TempDir(), []images.Image{images.Postgres(99)}),
		"assembling the image postgres:99: the lab knows no suite of Debian with Postgres 99: take another "+
			"version, or let STATEFUL_K3S_IMAGES name a registry that has the image")
}
