package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// Each account tries to reach the other's objects and the bucket itself.
func TestAccountReachesNothingElse(t *testing.T) {
	for _, test := range []struct{ own, other string }{{"exercises", "project"}, {"project", "exercises"}} {
		t.Run(test.own, func(t *testing.T) {
			server := storagetest.Start(t, "exercises", "project")
			victim := minio.Core{Client: server.Client(test.other)}
			attacker := minio.Core{Client: server.Client(test.own)}
			own, key := test.own+"/mine", test.other+"/secret"
			put(t, attacker.Client, own, "mine")
			put(t, victim.Client, key, "secret")
			upload, err := victim.NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{})
			require.NoError(t, err)
			_, err = victim.PutObjectPart(t.Context(), bucket, key, upload, 1, strings.NewReader("secret"), 6,
				minio.PutObjectPartOptions{})
			require.NoError(t, err)

			for name, attempt := range attempts(t.Context(), attacker, own, key, upload) {
				assert.Equal(t, "AccessDenied", code(attempt()), name)
			}

			requireContent(t, victim.Client, key, "secret")
			parts, err := victim.ListObjectParts(t.Context(), bucket, key, upload, 0, 10)
			require.NoError(t, err)
			require.Len(t, parts.ObjectParts, 1)
			assert.EqualValues(t, 6, parts.ObjectParts[0].Size)
			keys, err := list(t.Context(), attacker.Client, test.own+"/")
			require.NoError(t, err)
			assert.Equal(t, []string{own}, keys)
			buckets, err := attacker.ListBuckets(t.Context())
			require.NoError(t, err)
			assert.Empty(t, buckets)
		})
	}
}

// attempts returns requests that an account has no right to, by name. own is an object of the account, key
// another account's object, which also has the unfinished upload.
func attempts(ctx context.Context, core minio.Core, own, key, upload string) map[string]func() error {
	all := objectAttempts(ctx, core, own, key)
	maps.Copy(all, uploadAttempts(ctx, core, own, key, upload))
	maps.Copy(all, bucketAttempts(ctx, core))
	account, _, _ := strings.Cut(own, "/")
	other, _, _ := strings.Cut(key, "/")
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

func objectAttempts(ctx context.Context, core minio.Core, own, key string) map[string]func() error {
	account, _, _ := strings.Cut(own, "/")
	put := func(key string) func() error {
		return func() error {
			_, err := core.Client.PutObject(ctx, bucket, key, strings.NewReader("mine"), 4, minio.PutObjectOptions{})
			return err
		}
	}
	duplicate := func(to, from string) func() error {
		return func() error {
			_, err := core.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: to},
				minio.CopySrcOptions{Bucket: bucket, Object: from})
			return err
		}
	}
	return map[string]func() error{
		"put":                    put(key),
		"put at the top":         put(account),
		"put with a longer name": put(account + "s/mine"),
		"get":                    func() error { _, err := get(ctx, core.Client, key); return err },
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
		"copy":      duplicate(own, key),
		"copy into": duplicate(key, own),
		"look at another's tags": func() error {
			_, err := core.GetObjectTagging(ctx, bucket, key, minio.GetObjectTaggingOptions{})
			return err
		},
		"look at the permissions": func() error { _, err := core.GetObjectACL(ctx, bucket, key); return err },
	}
}

func uploadAttempts(ctx context.Context, core minio.Core, own, key, upload string) map[string]func() error {
	return map[string]func() error{
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
		"abort an upload": func() error { return core.AbortMultipartUpload(ctx, bucket, key, upload) },
	}
}

// openPolicy would allow everything to everybody.
const openPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*",
	"Resource":["arn:aws:s3:::backups","arn:aws:s3:::backups/*"]}]}`

func bucketAttempts(ctx context.Context, core minio.Core) map[string]func() error {
	return map[string]func() error{
		"read the policy":   func() error { _, err := core.GetBucketPolicy(ctx, bucket); return err },
		"remove the policy": func() error { return core.SetBucketPolicy(ctx, bucket, "") },
		"write a policy":    func() error { return core.SetBucketPolicy(ctx, bucket, openPolicy) },
		"keep versions":     func() error { return core.EnableVersioning(ctx, bucket) },
		"delete the bucket": func() error { return core.RemoveBucket(ctx, bucket) },
		"make a bucket":     func() error { return core.MakeBucket(ctx, "another", minio.MakeBucketOptions{}) },
	}
}

// A path can be written in ways that clients do not use.
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

func TestPlainHTTPIsRefused(t *testing.T) {
	server := storagetest.Start(t, "project")
	response, err := http.Get("http://" + server.Addr() + "/livez")
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusBadRequest, response.StatusCode)
}
