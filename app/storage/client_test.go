package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// Tests run the server as a process of its own, and use it over HTTPS with an S3 client.

const (
	bucket = storagetest.Bucket
	// partSize is the smallest that S3 allows.
	partSize = 5 << 20
)

func put(t *testing.T, client *minio.Client, key, content string) {
	t.Helper()
	_, err := client.PutObject(t.Context(), bucket, key, strings.NewReader(content), int64(len(content)),
		minio.PutObjectOptions{})
	require.NoError(t, err)
}

func get(ctx context.Context, client *minio.Client, key string) (string, error) {
	object, err := client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return "", err
	}
	defer object.Close()
	content, err := io.ReadAll(object)
	return string(content), err
}

func requireContent(t *testing.T, client *minio.Client, key, content string) {
	t.Helper()
	got, err := get(t.Context(), client, key)
	require.NoError(t, err)
	require.Equal(t, content, got)
}

// list returns the keys below a prefix.
func list(ctx context.Context, client *minio.Client, prefix string) (keys []string, err error) {
	options := minio.ListObjectsOptions{Prefix: prefix, Recursive: true}
	for object := range client.ListObjects(ctx, bucket, options) {
		if object.Err != nil {
			return nil, object.Err
		}
		keys = append(keys, object.Key)
	}
	return keys, nil
}

// code returns S3's code of an error, or "" for none.
func code(err error) string {
	return minio.ToErrorResponse(err).Code
}

// signed sends a request that minio's client refuses, and returns the status and body of the answer.
func signed(t *testing.T, server *storagetest.Server, account, method, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, server.Endpoint(), http.NoBody)
	require.NoError(t, err)
	request.URL, err = url.Parse(server.Endpoint() + path)
	require.NoError(t, err)
	request.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	request = signer.SignV4(*request, account, server.SecretKey(account), "", storagetest.Region)
	return send(t, server, request)
}

func send(t *testing.T, server *storagetest.Server, request *http.Request) (int, string) {
	t.Helper()
	response, err := server.HTTPClient().Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}
