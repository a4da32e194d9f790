// Package state reads the state of a deployed stack.
package state

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Read returns the resources of the current stack of a project's folder, with secrets as plain text.
func Read(ctx context.Context, project string) ([]apitype.ResourceV3, error) {
	cmd := exec.CommandContext(ctx, "pulumi", "stack", "export", "--show-secrets")
	cmd.Dir = project
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("export the stack: %w\n%s", err, &stderr)
	}
	var export struct{ Deployment apitype.DeploymentV3 }
	if err := json.Unmarshal(out, &export); err != nil {
		return nil, fmt.Errorf("read the exported stack: %w", err)
	}
	resources := export.Deployment.Resources
	for i := range resources {
		for _, values := range []map[string]any{resources[i].Inputs, resources[i].Outputs} {
			if _, err := decrypt(values); err != nil {
				return nil, fmt.Errorf("read %s: %w", resources[i].URN, err)
			}
		}
	}
	return resources, nil
}

// decrypt replaces the secrets in a value by their plain text.
func decrypt(value any) (_ any, err error) {
	switch value := value.(type) {
	case map[string]any:
		if value[resource.SigKey] == resource.SecretSig {
			text, _ := value["plaintext"].(string)
			var secret any
			if err := json.Unmarshal([]byte(text), &secret); err != nil {
				return nil, fmt.Errorf("decode a secret: %w", err)
			}
			return decrypt(secret)
		}
		for key := range value {
			if value[key], err = decrypt(value[key]); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range value {
			if value[i], err = decrypt(value[i]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// Objects returns the Kubernetes objects among resources as the program declares them, in the order of
// creation.
func Objects(resources []apitype.ResourceV3) []unstructured.Unstructured {
	var objects []unstructured.Unstructured
	for _, r := range resources {
		if strings.HasPrefix(string(r.Type), "kubernetes:") {
			objects = append(objects, unstructured.Unstructured{Object: r.Inputs})
		}
	}
	return objects
}

// List encodes objects for kubectl.
func List(objects []unstructured.Unstructured) ([]byte, error) {
	return json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
}
