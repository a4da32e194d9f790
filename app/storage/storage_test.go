package main

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

func TestAccountUsesItsPrefix(t *testing.T) {
	client := storagetest.Start(t, "exercises", "project").Client("project")
	put(t, client, "project/a/dump", "first")
	put(t, client, "project/a/dump", "second")
	put(t, client, "project/b", "")
	requireContent(t, client, "project/a/dump", "second")
	info, err := client.StatObject(t.Context(), bucket, "project/a/dump", minio.StatObjectOptions{})
	require.NoError(t, err)
	assert.EqualValues(t, len("second"), info.Size)
	for _, prefix := range []string{"project/", "project/a/"} {
		keys, err := list(t.Context(), client, prefix)
		require.NoError(t, err)
		assert.Contains(t, keys, "project/a/dump")
	}

	_, err = client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "project/b"},
		minio.CopySrcOptions{Bucket: bucket, Object: "project/a/dump"})
	require.NoError(t, err)
	requireContent(t, client, "project/b", "second")
	require.NoError(t, client.RemoveObject(t.Context(), bucket, "project/b", minio.RemoveObjectOptions{}))
	objects := make(chan minio.ObjectInfo, 1)
	objects <- minio.ObjectInfo{Key: "project/a/dump"}
	close(objects)
	for failed := range client.RemoveObjects(t.Context(), bucket, objects, minio.RemoveObjectsOptions{}) {
		require.NoError(t, failed.Err)
	}
	keys, err := list(t.Context(), client, "project/")
	require.NoError(t, err)
	assert.Empty(t, keys)
}

func TestUploadInParts(t *testing.T) {
	client := storagetest.Start(t, "project").Client("project")
	content := make([]byte, 2*partSize+1)
	_, _ = rand.Read(content)
	_, err := client.PutObject(t.Context(), bucket, "project/dump", bytes.NewReader(content), -1,
		minio.PutObjectOptions{PartSize: partSize})
	require.NoError(t, err)
	requireContent(t, client, "project/dump", string(content))

	core := minio.Core{Client: client}
	upload, err := core.NewMultipartUpload(t.Context(), bucket, "project/left", minio.PutObjectOptions{})
	require.NoError(t, err)
	_, err = core.PutObjectPart(t.Context(), bucket, "project/left", upload, 1, strings.NewReader("part"), 4,
		minio.PutObjectPartOptions{})
	require.NoError(t, err)
	parts, err := core.ListObjectParts(t.Context(), bucket, "project/left", upload, 0, 10)
	require.NoError(t, err)
	assert.Len(t, parts.ObjectParts, 1)
	uploads, err := core.ListMultipartUploads(t.Context(), bucket, "project/", "", "", "", 10)
	require.NoError(t, err)
	require.Len(t, uploads.Uploads, 1)
	assert.Equal(t, "project/left", uploads.Uploads[0].Key)

	require.NoError(t, core.AbortMultipartUpload(t.Context(), bucket, "project/left", upload))
	uploads, err = core.ListMultipartUploads(t.Context(), bucket, "project/", "", "", "", 10)
	require.NoError(t, err)
	assert.Empty(t, uploads.Uploads)
}

func TestSecretKeyChangesWithoutARestart(t *testing.T) {
	server := storagetest.Start(t, "project")
	before := server.Client("project")
	put(t, before, "project/a", "kept")
	server.SetSecretKey("project", "rotated-secret-key\n")
	_, err := get(t.Context(), before, "project/a")
	assert.Equal(t, "SignatureDoesNotMatch", code(err))
	requireContent(t, server.ClientWith("project", "rotated-secret-key"), "project/a", "kept")
}

func TestConnectionsAreReused(t *testing.T) {
	server := storagetest.Start(t, "project")
	client := server.Client("project")
	put(t, client, "project/a", "content")
	var reused bool
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotConn: func(conn httptrace.GotConnInfo) { reused = conn.Reused },
	})
	_, err := list(ctx, client, "project/")
	require.NoError(t, err)
	assert.True(t, reused)
}

func TestFormsAreRefusedUnread(t *testing.T) {
	server := storagetest.Start(t, "project")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Endpoint()+"/backups",
		strings.NewReader("--x"))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	status, answer := send(t, server, request)
	assert.Equal(t, http.StatusNotImplemented, status, answer)
}

func TestKillKeepsObjects(t *testing.T) {
	server := storagetest.Start(t, "exercises", "project")
	client := server.Client("project")
	put(t, client, "project/a", "kept")
	upload, err := minio.Core{Client: client}.NewMultipartUpload(t.Context(), bucket, "project/b",
		minio.PutObjectOptions{})
	require.NoError(t, err)
	server.Kill()
	server.Restart()
	requireContent(t, client, "project/a", "kept")
	uploads, err := minio.Core{Client: client}.ListMultipartUploads(t.Context(), bucket, "project/", "", "", "",
		10)
	require.NoError(t, err)
	require.Len(t, uploads.Uploads, 1)
	assert.Equal(t, upload, uploads.Uploads[0].UploadID)
	_, err = get(t.Context(), server.Client("exercises"), "project/a")
	assert.Equal(t, "AccessDenied", code(err), "the bucket's policy is there again too")
}
