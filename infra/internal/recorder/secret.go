package recorder

import (
	"encoding/base64"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/require"
)

// RequireSecret fails the test unless the resources' inputs contain a text, plain or in base64, and only in
// secrets.
func (r *Recording) RequireSecret(t require.TestingT, text string) {
	found := false
	for _, recorded := range r.All() {
		walk(resource.NewProperty(recorded.Inputs), false, func(s string, secret bool) {
			if !contains(s, text) {
				return
			}
			found = true
			require.True(t, secret, "%s shows a secret in its inputs", recorded.URN)
		})
	}
	require.True(t, found, "the secret is nowhere")
}

func contains(s, text string) bool {
	decoded, _ := base64.StdEncoding.DecodeString(s)
	return strings.Contains(s, text) || strings.Contains(string(decoded), text)
}

func walk(v resource.PropertyValue, secret bool, visit func(s string, secret bool)) {
	switch {
	case v.IsSecret():
		walk(v.SecretValue().Element, true, visit)
	case v.IsObject():
		for _, element := range v.ObjectValue() {
			walk(element, secret, visit)
		}
	case v.IsArray():
		for _, element := range v.ArrayValue() {
			walk(element, secret, visit)
		}
	case v.IsString():
		visit(v.StringValue(), secret)
	}
}
