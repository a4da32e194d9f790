package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stateful-k3s/stateful-k3s/infra/config"
)

// setting is one of Pulumi.yaml's config section.
type setting struct {
	Default     any
	Description string
}

func TestDocumentOfSettings(t *testing.T) {
	const path = "../docs/settings.md"
	document := documentSettings(t)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(document), 0o644))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, document, string(written), "to bring it up to date: go generate ./infra")
}

// documentSettings fills the groups of the template with the settings that they name. Each setting is in one
// group.
func documentSettings(t *testing.T) string {
	project, err := os.ReadFile("../Pulumi.yaml")
	require.NoError(t, err)
	var file struct{ Config map[string]setting }
	require.NoError(t, yaml.Unmarshal(project, &file))

	var grouped []string
	page, err := template.New("settings.md.tmpl").Funcs(template.FuncMap{
		"settings": func(keys ...string) (string, error) {
			grouped = append(grouped, keys...)
			return settingsTable(file.Config, keys)
		},
		"fields": func() string { return fieldsTable(file.Config) },
	}).ParseFiles("testdata/settings.md.tmpl")
	require.NoError(t, err)
	var document strings.Builder
	require.NoError(t, page.Execute(&document, nil))
	assert.ElementsMatch(t, slices.Collect(maps.Keys(file.Config)), grouped, "the groups of %s", page.Name())
	return document.String()
}

func settingsTable(all map[string]setting, keys []string) (string, error) {
	var rows strings.Builder
	rows.WriteString("| setting | type | default | what it does |\n|---|---|---|---|\n")
	for _, key := range keys {
		s, declared := all[key]
		if !declared {
			return "", fmt.Errorf("Pulumi.yaml declares no setting %s", key)
		}
		byDefault := ""
		if s.Default != "" {
			byDefault = fmt.Sprintf("`%v`", s.Default)
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", key, s.kind(key), byDefault, s.description())
	}
	return rows.String(), nil
}

// fieldsTable has the fields of an entry of databases.
func fieldsTable(all map[string]setting) string {
	var rows strings.Builder
	rows.WriteString("| field | type | without it | what it does |\n|---|---|---|---|\n")
	for _, field := range config.Fields {
		s := setting{Description: field.Description}
		kind, without := "text", ""
		if field.Shared != "" {
			s, without = all[field.Shared], "`"+field.Shared+"`"
			kind = s.kind(field.Shared)
		}
		if field.Description != "" {
			s.Description = field.Description
		}
		switch field.Name {
		case "restoreOver":
			kind = "true or false"
		case "parameters":
			kind = "text, or a map"
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", field.Name, kind, without, s.description())
	}
	return rows.String()
}

func (s setting) description() string {
	return strings.NewReplacer(" (secret)", "", "|", `\|`).Replace(s.Description)
}

// kind says how a value is written. Pulumi.yaml calls nearly all of them strings.
func (s setting) kind(key string) string {
	byDefault := fmt.Sprint(s.Default)
	for _, kind := range []struct {
		name string
		is   bool
	}{
		{"secret", strings.Contains(s.Description, "(secret)")},
		{"text", strings.HasSuffix(key, "Version")},
		{"cron", strings.HasSuffix(key, "Schedule")},
		{"list", byDefault == "[]"},
		{"true or false", byDefault == "true" || byDefault == "false"},
		{"number", regexp.MustCompile(`^\d+$`).MatchString(byDefault)},
		{"quantity", regexp.MustCompile(`^\d+[MG]i$`).MatchString(byDefault)},
		{"duration", regexp.MustCompile(`^\d+[smh]$`).MatchString(byDefault)},
	} {
		if kind.is {
			return kind.name
		}
	}
	return "text"
}
