package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

func TestAnIssuerThatIsNotThere(t *testing.T) {
	client := answering(t, map[string]any{"/apis/cert-manager.io/v1/clusterissuers/letsencrypt": map[string]any{
		"metadata": map[string]any{"name": "letsencrypt"}}})
	for name, issuer := range map[string]struct{ name, message string }{
		"none":    {"", ""},
		"there":   {"letsencrypt", ""},
		"another": {"letsencrypt-prod", "the cluster has no ClusterIssuer letsencrypt-prod: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := Requirements{Ingress: &kube.Ingress{Issuer: issuer.name}}.hasIssuer(t.Context(), client)
			if issuer.message == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, issuer.message)
			}
		})
	}
}
