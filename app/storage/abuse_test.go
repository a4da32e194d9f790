package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
	"github.com/stateful-k3s/stateful-k3s/internal/abuse"
)

const memory = 128 // MiB, of a pod

func TestWithstandsAbuse(t *testing.T) {
	server := storagetest.Start(t, "project")
	server.Kill()
	p := apptest.Start(t, append(server.Settings(), apptest.Limit(memory))...)
	client := server.Client("project")
	p.Eventually(func() bool {
		_, err := list(t.Context(), client, "project/")
		return err == nil
	})
	put(t, client, "project/a", "treasure")
	p.Withstands(t, memory, abuse.Target{
		Name: "storage", PerSecond: 100, TLS: clientTLS(t, server),
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", server.Addr())
		},
		Get: signedURL(t, server, "project/a"), Large: "/backups", Post: "/backups/project/b",
		Check: apptest.Answers(`^treasure$`),
	})
}

// signedURL is the path at which anyone may read an object.
func signedURL(t *testing.T, server *storagetest.Server, key string) string {
	t.Helper()
	client, err := minio.New("localhost", &minio.Options{
		Creds: credentials.NewStaticV4("project", server.SecretKey("project"), ""), Secure: true,
		Region: storagetest.Region, BucketLookup: minio.BucketLookupPath,
	})
	require.NoError(t, err)
	signed, err := client.PresignedGetObject(t.Context(), bucket, key, time.Hour, url.Values{})
	require.NoError(t, err)
	return signed.RequestURI()
}

func clientTLS(t *testing.T, server *storagetest.Server) *tls.Config {
	t.Helper()
	certificate, err := os.ReadFile(server.CAFile())
	require.NoError(t, err)
	authorities := x509.NewCertPool()
	require.True(t, authorities.AppendCertsFromPEM(certificate))
	return &tls.Config{RootCAs: authorities, ServerName: "127.0.0.1"}
}
