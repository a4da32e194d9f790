package pgbackrest

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
)

// For pgBackRest a file or a folder of authorities replaces the public ones; given both, it trusts both.
func TestAuthoritiesAreTrustedBesidesThePublicOnes(t *testing.T) {
	bucket := settings.Bucket{Endpoint: &url.URL{Scheme: "https", Host: "s3.example.com"},
		CAFile: "/run/secrets/ca.crt"}
	environment := (&Archive{bucket: bucket}).environment()
	assert.Contains(t, environment, "PGBACKREST_REPO1_STORAGE_CA_FILE=/run/secrets/ca.crt")
	assert.Contains(t, environment, "PGBACKREST_REPO1_STORAGE_CA_PATH=/etc/ssl/certs")
}
