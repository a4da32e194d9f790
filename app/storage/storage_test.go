package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// These tests run the server as a process of its own, and speak to it as its users do, by HTTPS and with an
// S3 client.

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
	for object := range client.ListObjects(ctx, bucket,
		minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return nil, object.Err
		}
		keys = append(keys, object.Key)
	}
	return keys, nil
}

// code is what S3 calls an error, and empty for none.
func code(err error) string {
	return minio.ToErrorResponse(err).Code
}

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

// Each account is tried on what the other one has, and on what is nobody's.
func TestAccountReachesNothingElse(t *testing.T) {
	for _, test := range []struct{ own, other string }{{"exercises", "project"}, {"project", "exercises"}} {
		t.Run(test.own, func(t *testing.T) {
			server := storagetest.Start(t, "exercises", "project")
			victim, thief := minio.Core{Client: server.Client(test.other)}, minio.Core{Client: server.Client(test.own)}
			own, key := test.own+"/mine", test.other+"/secret"
			put(t, thief.Client, own, "mine")
			put(t, victim.Client, key, "secret")
			upload, err := victim.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{})
			require.NoError(t, err)
			_, err = victim.PutObjectPart(t.Context(), bucket, key, upload, 1, strings.NewReader("secret"), 6,
				minio.PutObjectPartOptions{})
			require.NoError(t, err)

			for name, attempt := range attempts(t.Context(), thief, own, key, upload) {
				assert.Equal(t, "AccessDenied", code(attempt()), name)
			}

			requireContent(t, victim.Client, key, "secret")
			parts, err := victim.ListObjectParts(t.Context(), bucket, key, upload, 0, 10)
			require.NoError(t, err)
			require.Len(t, parts.ObjectParts, 1)
			assert.EqualValues(t, 6, parts.ObjectParts[0].Size)
			keys, err := list(t.Context(), thief.Client, test.own+"/")
			require.NoError(t, err)
			assert.Equal(t, []string{own}, keys)
			buckets, err := thief.ListBuckets(t.Context())
			require.NoError(t, err)
			assert.Empty(t, buckets)
		})
	}
}

// attempts are requests that an account has no right to, by what they try: its own object is own, key another
// account's object, of which there is also an unfinished upload.
func attempts(ctx context.Context, core minio.Core, own, key, upload string) map[string]func() error {
	account, _, _ := strings.Cut(own, "/")
	other, _, _ := strings.Cut(key, "/")
	all := map[string]func() error{
		"put": func() error {
			_, err := core.Client.PutObject(ctx, bucket, key, strings.NewReader("mine"), 4, minio.PutObjectOptions{})
			return err
		},
		"put at the top": func() error {
			_, err := core.Client.PutObject(ctx, bucket, account, strings.NewReader("mine"), 4,
				minio.PutObjectOptions{})
			return err
		},
		"put with a longer name": func() error {
			_, err := core.Client.PutObject(ctx, bucket, account+"s/mine", strings.NewReader("mine"), 4,
				minio.PutObjectOptions{})
			return err
		},
		"get": func() error {
			_, err := get(ctx, core.Client, key)
			return err
		},
		"head": func() error {
			_, err := core.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
			return err
		},
		"delete": func() error { return core.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}) },
		"delete many": func() error {
			objects := make(chan minio.ObjectInfo, 1)
			objects <- minio.ObjectInfo{Key: key}
			close(objects)
			return (<-core.RemoveObjects(ctx, bucket, objects, minio.RemoveObjectsOptions{})).Err
		},
		"copy": func() error {
			_, err := core.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: own},
				minio.CopySrcOptions{Bucket: bucket, Object: key})
			return err
		},
		"copy into": func() error {
			_, err := core.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: key},
				minio.CopySrcOptions{Bucket: bucket, Object: own})
			return err
		},
		"copy as a part": func() error {
			mine, err := core.NewMultipartUpload(ctx, bucket, own, minio.PutObjectOptions{})
			if err != nil {
				return err
			}
			defer func() { _ = core.AbortMultipartUpload(ctx, bucket, own, mine) }()
			_, err = core.CopyObjectPart(ctx, bucket, key, bucket, own, mine, 1, 0, -1, nil)
			return err
		},
		"start an upload": func() error {
			_, err := core.NewMultipartUpload(ctx, bucket, key, minio.PutObjectOptions{})
			return err
		},
		"upload a part": func() error {
			_, err := core.PutObjectPart(ctx, bucket, key, upload, 1, strings.NewReader("mine"), 4,
				minio.PutObjectPartOptions{})
			return err
		},
		"list parts": func() error {
			_, err := core.ListObjectParts(ctx, bucket, key, upload, 0, 10)
			return err
		},
		"complete an upload": func() error {
			_, err := core.CompleteMultipartUpload(ctx, bucket, key, upload, []minio.CompletePart{{PartNumber: 1}},
				minio.PutObjectOptions{})
			return err
		},
		"abort an upload":   func() error { return core.AbortMultipartUpload(ctx, bucket, key, upload) },
		"read the policy":   func() error { _, err := core.GetBucketPolicy(ctx, bucket); return err },
		"remove the policy": func() error { return core.SetBucketPolicy(ctx, bucket, "") },
		"write a policy":    func() error { return core.SetBucketPolicy(ctx, bucket, openPolicy) },
		"keep versions":     func() error { return core.EnableVersioning(ctx, bucket) },
		"delete the bucket": func() error { return core.RemoveBucket(ctx, bucket) },
		"make a bucket":     func() error { return core.MakeBucket(ctx, "another", minio.MakeBucketOptions{}) },
		"look at another's tags": func() error {
			_, err := core.GetObjectTagging(ctx, bucket, key, minio.GetObjectTaggingOptions{})
			return err
		},
		"look at the permissions": func() error { _, err := core.GetObjectACL(ctx, bucket, key); return err },
	}
	for _, prefix := range []string{"", other, other + "/", account, account[:1], account + "s/"} {
		all[fmt.Sprintf("list %q", prefix)] = func() error {
			_, err := list(ctx, core.Client, prefix)
			return err
		}
		all[fmt.Sprintf("list the first way %q", prefix)] = func() error {
			_, err := core.ListObjects(bucket, prefix, "", "", 10)
			return err
		}
		all[fmt.Sprintf("list uploads %q", prefix)] = func() error {
			_, err := core.ListMultipartUploads(ctx, bucket, prefix, "", "", "", 10)
			return err
		}
	}
	return all
}

// openPolicy would let everybody do everything.
const openPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::backups","arn:aws:s3:::backups/*"]}]}`

// signed sends a request that minio's client would not, and returns its status and body.
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

// What a client would put together by itself can also be written in other ways.
func TestNoDetourLeadsElsewhere(t *testing.T) {
	server := storagetest.Start(t, "exercises", "project")
	put(t, server.Client("project"), "project/secret", "treasure")
	put(t, server.Client("exercises"), "exercises/mine", "mine")
	status, body := signed(t, server, "exercises", http.MethodGet, "/backups/exercises/mine")
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, "mine", body)

	for _, path := range []string{
		"/backups/exercises/../project/secret",
		"/backups/exercises/%2e%2e/project/secret",
		"/backups/exercises/..%2fproject%2fsecret",
		"/backups/exercises//../project/secret",
		"/backups//project/secret",
		"/backups/./project/secret",
		"/backups/exercises/mine/../../project/secret",
		"/backups/../backups/project/secret",
		"/backups?list-type=2&prefix=exercises/&prefix=project/",
		"/backups?list-type=2&prefix=project/&prefix=exercises/",
		"/backups?list-type=2&prefix=exercises/../project/",
		"/backups?list-type=2&prefix=exercises%2f..%2f",
		"/backups?list-type=2&prefix=exercises/&start-after=project/",
		"/backups?list-type=2&prefix=%2a",
		"/backups?uploads&prefix=exercises/../project/",
		"/backups?versions&prefix=exercises/",
		"/backups/.sgwtmp/multipart",
	} {
		_, body := signed(t, server, "exercises", http.MethodGet, path)
		assert.NotContains(t, body, "treasure", path)
		assert.NotContains(t, body, "<Key>project/", path)
	}
}

func TestAdminAPIIsForNobody(t *testing.T) {
	server := storagetest.Start(t, "project")
	for _, path := range []string{
		"/create-user", "/delete-user?access=project", "/update-user?access=project", "/list-users",
		"/list-buckets",
		"/change-bucket-owner?bucket=backups&owner=project", "/another/create",
	} {
		status, body := signed(t, server, "project", http.MethodPatch, path)
		assert.Equal(t, http.StatusForbidden, status, "%s: %s", path, body)
	}
}

func TestAnonymousRequestsAreRefused(t *testing.T) {
	server := storagetest.Start(t, "project")
	put(t, server.Client("project"), "project/secret", "treasure")
	for _, path := range []string{"/", "/backups", "/backups?list-type=2&prefix=project/",
		"/backups/project/secret"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.Endpoint()+path, http.NoBody)
		require.NoError(t, err)
		status, body := send(t, server, request)
		assert.Equal(t, http.StatusForbidden, status, "%s: %s", path, body)
	}
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

func TestUnknownAccountsAreRefused(t *testing.T) {
	server := storagetest.Start(t, "project")
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(server.AccountsDir()), "outside"),
		[]byte("secret-key"), 0o600))
	server.SetSecretKey("later", "secret-key")
	for account, want := range map[string]string{
		"later": "InvalidAccessKeyId", ".": "InvalidAccessKeyId", "../outside": "AuthorizationHeaderMalformed",
		owner: "SignatureDoesNotMatch", "": "AccessDenied",
	} {
		_, err := list(t.Context(), server.ClientWith(account, "secret-key"), "project/")
		assert.Equal(t, want, code(err), account)
	}
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

func TestPlainHTTPIsRefused(t *testing.T) {
	server := storagetest.Start(t, "project")
	response, err := http.Get("http://" + server.Addr() + "/livez")
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
}
