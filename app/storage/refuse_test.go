package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// The server took these IDs for paths, and so deleted, showed, overwrote or moved the other account's
// objects.
func TestNoUploadIDLeadsElsewhere(t *testing.T) {
	operations := map[string]func(t *testing.T, core minio.Core, id string) error{
		"AbortMultipartUpload": func(t *testing.T, core minio.Core, id string) error {
			return core.AbortMultipartUpload(t.Context(), bucket, "project/x", id)
		},
		"ListParts": func(t *testing.T, core minio.Core, id string) error {
			_, err := core.ListObjectParts(t.Context(), bucket, "project/x", id, 0, 10)
			return err
		},
		"UploadPart": func(t *testing.T, core minio.Core, id string) error {
			part, options := strings.NewReader("mine"), minio.PutObjectPartOptions{}
			_, err := core.PutObjectPart(t.Context(), bucket, "project/x", id, 1, part, part.Size(), options)
			return err
		},
		"UploadPartCopy": func(t *testing.T, core minio.Core, id string) error {
			_, err := core.CopyObjectPart(t.Context(), bucket, "project/mine", bucket, "project/x", id, 1, 0, -1, nil)
			return err
		},
		"CompleteMultipartUpload": func(t *testing.T, core minio.Core, id string) error {
			parts := []minio.CompletePart{{PartNumber: 1, ETag: "CRC64NVME-AAAAAAAAAAA="}}
			_, err := core.CompleteMultipartUpload(t.Context(), bucket, "project/x", id, parts,
				minio.PutObjectOptions{})
			return err
		},
	}
	for name, operation := range operations {
		t.Run(name, func(t *testing.T) {
			server := storagetest.Start(t, "exercises", "project")
			victim := minio.Core{Client: server.Client("exercises")}
			attacker := minio.Core{Client: server.Client("project")}
			put(t, victim.Client, "exercises/1", "secret") // also the name of a part
			put(t, attacker.Client, "project/mine", "mine")
			upload, err := attacker.NewMultipartUpload(t.Context(), bucket, "project/x", minio.PutObjectOptions{})
			require.NoError(t, err)
			for _, id := range []string{
				"../../../exercises", "../../../exercises/", "/../../../exercises", upload + "/../../../../exercises",
				"..", ".", "../" + strings.Repeat("0", 64), strings.ToUpper(upload), upload + "/", upload + "\x00",
				"{" + upload + "}", "urn:uuid:" + upload, "null",
			} {
				assert.Equal(t, "NoSuchUpload", code(operation(t, attacker, id)), id)
			}
			requireContent(t, victim.Client, "exercises/1", "secret")
			keys, err := list(t.Context(), victim.Client, "exercises/")
			require.NoError(t, err)
			assert.Equal(t, []string{"exercises/1"}, keys)
			keys, err = list(t.Context(), attacker.Client, "project/")
			require.NoError(t, err)
			assert.Equal(t, []string{"project/mine"}, keys)
		})
	}
}

// An upload is listed under the text of its key, but the policy looks at the cleaned path.
func TestNoUploadIsStartedInAnothersList(t *testing.T) {
	server := storagetest.Start(t, "exercises", "project")
	status, body := signed(t, server, "project", http.MethodPost, "/backups/exercises/../project/x?uploads")
	assert.Equal(t, http.StatusBadRequest, status, body)
	other := minio.Core{Client: server.Client("exercises")}
	uploads, err := other.ListMultipartUploads(t.Context(), bucket, "exercises/", "", "", "", 10)
	require.NoError(t, err)
	assert.Empty(t, uploads.Uploads)
}

// A panic in the goroutine that answers a select ended the server.
func TestNoSelectEndsTheServer(t *testing.T) {
	server := storagetest.Start(t, "project")
	client := server.Client("project")
	put(t, client, "project/a", "kept")
	target := server.Endpoint() + "/backups/project/a?select&select-type=2"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target,
		strings.NewReader("<SelectRequest><RequestProgress></RequestProgress></SelectRequest>"))
	require.NoError(t, err)
	request.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	request = signer.SignV4(*request, "project", server.SecretKey("project"), "", storagetest.Region)
	status, body := send(t, server, request)
	assert.Equal(t, http.StatusNotImplemented, status, body)
	requireContent(t, client, "project/a", "kept")
}

func TestNamesThatAreNoneOfTheBucket(t *testing.T) {
	const id = "0193a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b"
	app := fiber.New()
	app.Use("/", refuse("backups"))
	app.Use("/", func(ctx fiber.Ctx) error { return ctx.SendString("passed") })
	for target, want := range map[string]string{
		"/":                                     "passed",
		"/backups":                              "passed",
		"/backups/":                             "passed",
		"/backups?list-type=2&prefix=project/":  "passed",
		"/backups/project/a":                    "passed",
		"/backups/project/a/":                   "passed",
		"/backups/project/...":                  "passed",
		"/backups/project/%c3%a9%25+%2b%3F":     "passed",
		"/backups/project%2Fa":                  "passed",
		"/backups/project/a?uploadId=" + id:     "passed",
		"/backups/project/a?uploads":            "passed",
		"/backups/project/a?versionId=":         "passed",
		"/accounts":                             "AccessDenied",
		"/.vgwlocks":                            "AccessDenied",
		"/..":                                   "AccessDenied",
		"/%2e%2e/backups/project/a":             "AccessDenied",
		"//backups/project/a":                   "AccessDenied",
		"/backups2/project/a":                   "AccessDenied",
		"/create-user":                          "AccessDenied",
		"/backups//project/a":                   "InvalidURI",
		"/backups/.":                            "InvalidURI",
		"/backups/project//a":                   "InvalidURI",
		"/backups/project/a//":                  "InvalidURI",
		"/backups/project/./a":                  "InvalidURI",
		"/backups/project/b/../a":               "InvalidURI",
		"/backups/project/..":                   "InvalidURI",
		"/backups/project/%2e%2e/exercises/a":   "InvalidURI",
		"/backups/project%2f..%2fexercises%2fa": "InvalidURI",
		"/backups/project/a%00":                 "InvalidURI",
		"/backups/project/%c0%ae%c0%ae/a":       "InvalidURI",
		"/backups/project/a?uploadId":           "NoSuchUpload",
		"/backups/project/a?uploadId=..":        "NoSuchUpload",
		"/backups/project/a?upload%49d=%2e%2e":  "NoSuchUpload",
		"/backups/project/a?uploadId=" + id + "&uploadId=..":       "NoSuchUpload",
		"/backups/project/a?versionId=null":                        "InvalidArgument",
		"/backups/project/a?versionId=/../../exercises/abcdefghij": "InvalidArgument",
	} {
		assert.Contains(t, answer(t, app, target, ""), want, target)
	}
	for source, want := range map[string]string{
		"backups/project/a":                "passed",
		"/backups/project/a":               "passed",
		"backups%2Fproject%2Fa%3F":         "passed",
		"backups":                          "InvalidArgument",
		"backups/":                         "InvalidArgument",
		"accounts/project":                 "InvalidArgument",
		"../accounts/project":              "InvalidArgument",
		"./backups/project/a":              "InvalidArgument",
		"//backups/project/a":              "InvalidArgument",
		"backups/project/../exercises/a":   "InvalidArgument",
		"backups/project%2F%2e%2e%2Fa":     "InvalidArgument",
		"backups/project/a?versionId=null": "InvalidArgument",
		"backups/project/%zz":              "InvalidArgument",
		"backups/exercises/a?versionId=/../../project/xxxxxxxxxxx":     "InvalidArgument",
		"backups/exercises/a%3FversionId%3D/../../project/xxxxxxxxxxx": "InvalidArgument",
	} {
		assert.Contains(t, answer(t, app, "/backups/project/b", source), want, source)
	}
}

func answer(t *testing.T, app *fiber.App, target, copySource string) string {
	t.Helper()
	request := httptest.NewRequest(http.MethodPut, target, http.NoBody)
	if copySource != "" {
		request.Header.Set("X-Amz-Copy-Source", copySource)
	}
	response, err := app.Test(request)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}
