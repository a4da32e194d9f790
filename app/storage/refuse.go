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

// uploadID is the form of the ids that the server gives to uploads.
var uploadID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// refuse answers requests that the S3 server must not get, since it joins names and ids to paths without
// looking at them. Two more become paths in places that do look: os.DirFS takes no prefix of a list that
// leads elsewhere, and each key in the body of a DeleteObjects is held against the bucket's policy as the
// path that it leads to.
func refuse(bucket string) fiber.Handler {
	return controllers.WrapMiddleware(func(ctx fiber.Ctx) error {
		request := ctx.Request()
		path, err := url.PathUnescape(string(request.URI().PathOriginal()))
		if err != nil {
			return s3err.GetAPIError(s3err.ErrInvalidURI)
		}
		name, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if name != bucket && path != "/" { // which lists buckets
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
		if query.Has("select") { // which the server answers in a goroutine whose panics end it
			return s3err.GetAPIError(s3err.ErrNotImplemented)
		}
		return nil
	}, nil, nil)
}

// isKey says whether a key is the path that it leads to, as no other key then is.
func isKey(key string) bool {
	path := strings.TrimSuffix(key, "/")
	return fs.ValidPath(path) && path != "." && !strings.ContainsRune(path, 0)
}

func isCopySource(bucket, source string) bool {
	source, err := url.QueryUnescape(strings.TrimPrefix(source, "/"))
	name, key, _ := strings.Cut(source, "/")
	return err == nil && name == bucket && isKey(key) && !strings.Contains(key, "?versionId=")
}
