package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/authorities"
	"github.com/stateful-k3s/stateful-k3s/internal/wikitest"
)

func TestAuthorities(t *testing.T) {
	t.Parallel()
	system, further := wikitest.Start(t, localhost), wikitest.Start(t, localhost)
	for _, wiki := range []*wikitest.Wiki{system, further} {
		wiki.Page(page, wikitest.Article("/wiki/Train"))
		backend := startBackend(t)
		d := start(t, wiki.URL+page, backend, "SSL_CERT_FILE="+system.CAFile(), "CA_FILE="+further.CAFile())
		require.Equal(t, 0, d.Wait().ExitCode(), d.Logged())
		assert.Len(t, backend.posts(), 1)
	}
	d := start(t, further.URL+page, startBackend(t), "SSL_CERT_FILE="+system.CAFile())
	require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
	assert.Contains(t, lastLine(d), "x509: certificate signed by unknown authority")
	assert.Contains(t, lastLine(d), "(CA_FILE can name a file with further authorities)")
	assert.Len(t, further.Requests(page), 1, "of the other process")
	assert.NotContains(t, d.Logged(), "trying again")
}

// The image has no authorities, so the program contains Mozilla's.
func TestAuthoritiesWithoutASystem(t *testing.T) {
	const none = "/none"
	if os.Getenv("SSL_CERT_FILE") != none {
		again := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		again.Env = append(os.Environ(), "SSL_CERT_FILE="+none, "SSL_CERT_DIR="+none)
		output, err := again.CombinedOutput()
		require.NoError(t, err, string(output))
		return
	}
	wiki := wikitest.Start(t, localhost)
	pool, err := authorities.Load(wiki.CAFile())
	require.NoError(t, err)
	verified := 0
	for root := range bundle.Roots() {
		certificate, err := x509.ParseCertificate(root.Certificate)
		require.NoError(t, err)
		if root.Constraint == nil && time.Now().Before(certificate.NotAfter) {
			_, err = certificate.Verify(x509.VerifyOptions{Roots: pool})
			assert.NoError(t, err, certificate.Subject)
			verified++
		}
	}
	assert.Greater(t, verified, 50)
	block, _ := pem.Decode(wiki.CA)
	certificate, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	_, err = certificate.Verify(x509.VerifyOptions{Roots: pool})
	assert.NoError(t, err, "the file adds its own")
}

func TestSaysWhichSettingIsWrong(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no certificate"), 0o600))
	for setting, says := range map[string]string{
		"BACKEND_URL=":                     `BACKEND_URL: \"\" is not an address such as http://todo-backend-svc`,
		"BACKEND_URL=todo-backend-svc:80":  `BACKEND_URL: \"todo-backend-svc:80\" is not an address`,
		"ARTICLE_URL=ftp://wiki.example/":  `ARTICLE_URL: \"ftp://wiki.example/\" is not an address`,
		"ARTICLE_URL=https://:443/":        `ARTICLE_URL: \"https://:443/\" is not an address`,
		"ARTICLE_URL=https://me@wiki.lan/": `ARTICLE_URL: \"https://me@wiki.lan/\" is not an address`,
		"JOB_NAME=":                        "JOB_NAME: is not set; for example: JOB_NAME=daily-todo-1",
		"TIMEOUT=90":                       `TIMEOUT: \"90\" is not a time such as 2m`,
		"TIMEOUT=-1s":                      `TIMEOUT: \"-1s\" is not a time such as 2m`,
		"CA_FILE=" + text:                  "CA_FILE: " + text + " holds no certificate in PEM format",
		"CA_FILE=/none":                    "CA_FILE: open /none: no such file or directory",
	} {
		d := apptest.Start(t, "BACKEND_URL=http://localhost", "ARTICLE_URL=https://localhost", "JOB_NAME=job",
			"TIMEOUT=1s", setting)
		require.Equal(t, 1, d.Wait().ExitCode(), d.Logged())
		assert.Contains(t, lastLine(d), says)
	}
}
