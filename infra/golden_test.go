package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
)

//go:generate go test -run ^(TestGoldenManifests|TestDocument.*)$ . -update

var update = flag.Bool("update", false, "rewrite the golden files and documents")

// kinds is the order of the manifests in a golden file.
var kinds = []string{
	"Image", "Namespace", "CustomResourceDefinition", "Cluster", "Database", "StatefulSet", "Deployment",
	"Job", "CronJob", "Service", "PodMonitor", "Ingress", "HTTPRoute", "ConfigMap",
	"Secret", "PodDisruptionBudget", "NetworkPolicy",
}

// TestGoldenManifests compares what the program declares with the files in testdata: with default settings a
// file for each component, the images and all URNs, and a file for each variant.
func TestGoldenManifests(t *testing.T) {
	byDefault := declaredYAML(t, nil)
	golden := map[string]string{}
	for _, m := range byDefault {
		golden[m.file] += m.text
	}
	for name, changes := range variants {
		golden[name+".diff"] = difference(t, byDefault, declaredYAML(t, changes))
	}
	if *update {
		for name := range goldenFiles(t) {
			require.NoError(t, os.Remove(filepath.Join("testdata", name)))
		}
		for name, text := range golden {
			require.NoError(t, os.WriteFile(filepath.Join("testdata", name), []byte(text), 0o644))
		}
	}
	written := goldenFiles(t)
	for _, name := range slices.Sorted(maps.Keys(golden)) {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, written[name], golden[name], "to accept the change: go test ./infra -update")
		})
		delete(written, name)
	}
	require.Empty(t, written, "golden files that nothing is compared with: delete them")
}

func goldenFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"*.yaml", "*.diff", urnsFile} {
		paths, err := filepath.Glob(filepath.Join("testdata", pattern))
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			files[filepath.Base(path)] = string(text)
		}
	}
	return files
}

const urnsFile = "urns.txt"

// manifest is an entry of a golden file: a registered resource, its URN, or the stack's outputs.
type manifest struct{ file, name, text string }

// declaredYAML renders what the program declares, in the order of the golden files.
func declaredYAML(t *testing.T, changes map[string]string) []manifest {
	t.Helper()
	id := resource.NewProperty("(random id)")
	recording := recorder.Run(t, withoutCluster, settings(t, changes), kept, withAddress,
		recorder.Kept("pingpong-backup-restore-request", id), recorder.Kept("todo-backup-restore-request", id),
		recorder.Kept("shop-backup-restore-request", id))
	resources := recording.All()
	slices.SortStableFunc(resources, func(a, b *recorder.Resource) int {
		return cmp.Compare(slices.Index(kinds, kind(a)), slices.Index(kinds, kind(b)))
	})
	var manifests, urns []manifest
	for _, recorded := range resources {
		urns = append(urns, manifest{urnsFile, string(recorded.URN), string(recorded.URN) + "\n"})
		isComponent := recorded.Object == nil && kind(recorded) != "Image"
		if slices.Contains(kinds, kind(recorded)) && !isComponent {
			manifests = append(manifests, manifest{
				file: component(recorded) + ".yaml",
				name: recorded.URN.Name() + " (" + kind(recorded) + ")",
				text: manifestText(t, recorded),
			})
		}
	}
	slices.SortFunc(urns, func(a, b manifest) int { return strings.Compare(a.text, b.text) })
	outputs := manifest{"outputs.yaml", "outputs of the stack", yamlText(t, recording.Outputs(""))}
	return append(append(urns, manifests...), outputs)
}

// withAddress makes the ingress controller write its address into each Ingress.
var withAddress = recorder.Outputs("kubernetes:networking.k8s.io/v1:Ingress",
	resource.NewPropertyMapFromMap(map[string]any{"status": map[string]any{
		"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "10.231.1.2"}}},
	}}))

// component is the golden file of a resource.
func component(recorded *recorder.Resource) string {
	switch {
	case recorded.Parent() != "":
		return recorded.Parent()
	case recorded.Object == nil:
		return "images"
	}
	return "namespaces"
}

func kind(recorded *recorder.Resource) string {
	token := string(recorded.URN.Type())
	return token[strings.LastIndex(token, ":")+1:]
}

// manifestText is the resource's inputs, below its name in the program and the names of the resources that it
// waits for. It leaves out the parts of the namespace, which every object waits for, and generated secrets,
// which reach pods in a Secret.
func manifestText(t *testing.T, recorded *recorder.Resource) string {
	t.Helper()
	heading := "---\n# " + recorded.URN.Name()
	waits := slices.DeleteFunc(recorded.DependsOn(), implied.MatchString)
	if len(waits) > 0 {
		heading += ", after " + strings.Join(waits, ", ")
	}
	return heading + "\n" + yamlText(t, recorded.Inputs)
}

var implied = regexp.MustCompile(`^(apps|exercises|monitoring|project|storage)` +
	`(-default-deny|-dns|-registry)?$|` +
	`^redis-password$|^storage-.*(key|certificate)$|` +
	`-postgres-(owner|reader|restorer|exporter|salt|certificate)$`)

// yamlText writes (secret) for each secret text, and (digest) for the digest of each image.
func yamlText(t *testing.T, properties resource.PropertyMap) string {
	t.Helper()
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	require.NoError(t, encoder.Encode(resource.NewProperty(properties).MapRepl(nil, readable)))
	return strings.ReplaceAll(text.String(), recorder.Digest, "sha256:(digest)")
}

// readable masks secrets, and writes whole numbers as such.
func readable(value resource.PropertyValue) (any, bool) {
	switch {
	case value.IsSecret():
		return value.SecretValue().Element.MapRepl(nil, masked), true
	case value.IsNumber():
		return int64(value.NumberValue()), true
	}
	return nil, false
}

func masked(value resource.PropertyValue) (any, bool) {
	return "(secret)", value.IsString()
}

// difference shows how the URNs, manifests and outputs of a variant differ from the defaults.
func difference(t *testing.T, before, after []manifest) string {
	t.Helper()
	texts := func(manifests []manifest) map[string]string {
		all := map[string]string{}
		for _, m := range manifests {
			all[m.name] = m.text
		}
		return all
	}
	was, is := texts(before), texts(after)
	var out strings.Builder
	for _, m := range before {
		if m.file == urnsFile && is[m.name] == "" {
			out.WriteString("-" + m.text)
		}
	}
	for _, m := range after {
		switch {
		case was[m.name] == m.text:
		case m.file == urnsFile:
			out.WriteString("+" + m.text)
		case was[m.name] == "":
			text := strings.TrimPrefix(m.text, "---\n")
			fmt.Fprintf(&out, "\nnew: %s\n%s", m.name, regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(text, "+$1"))
		default:
			fmt.Fprintf(&out, "\nchanged: %s\n%s", m.name, lineDiff(t, was[m.name], m.text))
		}
	}
	return out.String()
}

// lineDiff leaves out file names and line numbers, which would change with everything else.
func lineDiff(t *testing.T, before, after string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "before"), []byte(before), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "after"), []byte(after), 0o600))
	command := exec.Command("diff", "-U2", "before", "after")
	command.Dir = dir
	diff, _ := command.Output() // exit status 1 says that they differ
	_, hunks, found := bytes.Cut(diff, []byte("\n@@"))
	require.True(t, found, "diff -U2 printed: %s", diff)
	return regexp.MustCompile(`(?m)^(?:@@)? -\d.*@@$`).ReplaceAllString(string(hunks), "@@")
}
