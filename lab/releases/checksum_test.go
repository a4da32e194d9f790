package releases

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestChecksumsAreReadInEveryPublishedForm(t *testing.T) {
	digest := fmt.Sprintf("%x", sha256.Sum256(binary))
	subject := `{"subject": [{"name": "other", "digest": {"sha256": "00"}},
		{"name": "hello-amd64", "digest": {"sha256": "` + digest + `"}}]}`
	for name, form := range map[string]struct{ file, content string }{
		"two spaces":    {"SUMS", digest + "  hello-amd64\n"},
		"binary mode":   {"SUMS", digest + " *hello-amd64\n"},
		"with a folder": {"SUMS", digest + "  dist/hello-amd64\n"},
		"signed": {"SUMS", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + digest +
			"  hello-amd64\n-----BEGIN PGP SIGNATURE-----\n"},
		"bare":       {"hello-amd64.sha256", digest + "\n"},
		"provenance": {"hello.provenance.json", subject},
		"Sigstore bundle": {"hello.sigstore.json", `{"dsseEnvelope": {"payload": "` +
			base64.StdEncoding.EncodeToString([]byte(subject)) + `"}}`},
	} {
		assert.Equal(t, digest, find([]byte(form.content), form.file, "hello-amd64"), name)
	}
	for name, form := range map[string]struct{ file, content string }{
		"another file's":     {"SUMS", digest + "  hello-arm64\n"},
		"another name's end": {"SUMS", digest + "  hi-hello-amd64\n"},
		"bare, of all files": {"SUMS", digest + "\n"},
		"of another length":  {"SUMS", digest[2:] + "  hello-amd64\n"},
		"broken statement":   {"hello.provenance.json", subject[1:]},
		"statement of others": {"hello.provenance.json", `{"subject": [{"name": "other", "digest": {"sha256": "` +
			digest + `"}}]}`},
	} {
		assert.Empty(t, find([]byte(form.content), form.file, "hello-amd64"), name)
	}
}
