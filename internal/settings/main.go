// Settings writes the table of settings in README.md from their declarations in Pulumi.yaml: go generate
// ./internal/settings
package main

//go:generate go run . ../..

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The table stands between these lines.
const (
	begin = "<!-- settings: written by go generate ./internal/settings -->\n"
	end   = "<!-- end of settings -->\n"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "settings:", err)
		os.Exit(1)
	}
}

// run updates the README.md in the root of the repository.
func run(root string) error {
	path := filepath.Join(root, "README.md")
	project, err := os.ReadFile(filepath.Join(root, "Pulumi.yaml"))
	if err != nil {
		return err
	}
	readme, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	updated, err := update(string(readme), project)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(updated), 0o644)
}

// update returns the README with the table of the project file.
func update(readme string, project []byte) (string, error) {
	before, rest, found := strings.Cut(readme, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("README.md needs the lines %q and %q around the table", begin, end)
	}
	rows, err := table(project)
	if err != nil {
		return "", fmt.Errorf("read Pulumi.yaml: %w", err)
	}
	return before + begin + rows + end + after, nil
}

// table is a row for each setting, in the order of the project file.
func table(project []byte) (string, error) {
	var file struct {
		Config yaml.Node
	}
	if err := yaml.Unmarshal(project, &file); err != nil {
		return "", err
	}
	if file.Config.Kind != yaml.MappingNode {
		return "", errors.New("it has no config section")
	}
	var rows strings.Builder
	rows.WriteString("| setting | default | what it is |\n|---|---|---|\n")
	for i := 0; i+1 < len(file.Config.Content); i += 2 {
		var setting struct {
			Default     *string
			Description string
			Secret      bool
		}
		key := file.Config.Content[i].Value
		if err := file.Config.Content[i+1].Decode(&setting); err != nil {
			return "", fmt.Errorf("setting %s: %w", key, err)
		}
		byDefault := "none: required"
		if setting.Default != nil {
			byDefault = code(*setting.Default)
		}
		description := setting.Description
		if setting.Secret {
			description += " (secret)"
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", key, byDefault, strings.ReplaceAll(description, "|", `\|`))
	}
	return rows.String(), nil
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
