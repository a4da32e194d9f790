package main

import (
	"io/fs"
	"net/url"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/s3api/controllers"
	"github.com/versity/versitygw/s3err"
)

// uploadID matches the IDs that the server gives to uploads.
var uploadID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// refuse answers requests that the S3 server must not see: it joins names and IDs to paths unchecked. Two
// further inputs become paths too, but are checked there: os.DirFS refuses a list's prefix that leads
// elsewhere, and the bucket's policy applies to the cleaned path of each key of DeleteObjects.
func refuse(bucket string) fiber.Handler {
	return controllers.WrapMiddleware(func(ctx fiber.Ctx) error {
		request := ctx.Request()
		path, err := url.PathUnescape(string(request.URI().PathOriginal()))
		if err != nil {
			return s3err.GetAPIError(s3err.ErrInvalidURI)
		}
		name, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if name != bucket && path != "/" { // "/" lists buckets
			return s3err.GetAPIError(s3err.ErrAccessDenied)
		}
		if key != "" && !isKey(key) {
			return s3err.GetAPIError(s3err.ErrInvalidURI)
		}
		query := request.URI().QueryArgs()
		for _, id := range query.PeekMulti("uploadId") {
			if !uploadID.Match(id) {
				return s3err.GetNoSuchUploadErr(string(id))
			}
		}
		for _, id := range query.PeekMulti("versionId") {
			if len(id) > 0 { // there are no versions
				return s3err.GetInvalidArgumentErr(s3err.InvalidArgVersionId, string(id))
			}
		}
		for _, source := range request.Header.PeekAll("X-Amz-Copy-Source") {
			if !isCopySource(bucket, string(source)) {
				return s3err.GetInvalidArgumentErr(s3err.InvalidArgCopySourceObject, string(source))
			}
		}
		if query.Has("select") { // a panic in the goroutine that answers it would end the server
			return s3err.GetAPIError(s3err.ErrNotImplemented)
		}
		return nil
	}, nil, nil)
}

// isKey reports whether a key is a clean path, so that no other key leads to the same file.
func isKey(key string) bool {
	path := strings.TrimSuffix(key, "/")
	return fs.ValidPath(path) && path != "." && !strings.ContainsRune(path, 0)
}

func isCopySource(bucket, source string) bool {
	source, err := url.QueryUnescape(strings.TrimPrefix(source, "/"))
	name, key, _ := strings.Cut(source, "/")
	return err == nil && name == bucket && isKey(key) && !strings.Contains(key, "?versionId=")
}
