package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadmeHasTheSettingsOfPulumiYaml(t *testing.T) {
	project, err := os.ReadFile("../../Pulumi.yaml")
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	updated, err := update(string(readme), project)
	require.NoError(t, err)
	assert.Equal(t, updated, string(readme), "to bring it up to date: go generate ./internal/settings")
}

func TestUpdate(t *testing.T) {
	updated, err := update("above\n"+begin+"| old |\n"+end+"below\n", []byte(`
config:
  size: {type: string, default: 100Mi, description: A size}
  count: {type: integer, default: 2, description: One | two}
  name: {type: string, default: "", description: A name}
  password: {type: string, secret: true, description: A password}
`))
	require.NoError(t, err)
	assert.Equal(t, "above\n"+begin+`| setting | default | what it is |
|---|---|---|
| `+"`size` | `100Mi`"+` | A size |
| `+"`count` | `2`"+` | One \| two |
| `+"`name` | "+` | A name |
| `+"`password`"+` | none: required | A password (secret) |
`+end+"below\n", updated)
}

func TestUpdateSaysWhatIsMissing(t *testing.T) {
	_, err := update("no table", []byte("config: {a: {}}"))
	assert.ErrorContains(t, err, "README.md needs the lines")
	_, err = update(begin+end, []byte("name: x"))
	assert.EqualError(t, err, "read Pulumi.yaml: it has no config section")
}
