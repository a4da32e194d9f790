package main

import (
	"net/http"
	"slices"
	"strings"
)

// operation is a request that the server knows. Names in braces get new values in each request.
type operation struct {
	name, request string
	header        string // an additional line of the header
	body          func(f *fuzzer, header http.Header) []byte
}

const copySource = "X-Amz-Copy-Source: {source}"

// operations has every S3 operation, some in several forms, and versitygw's administrative ones.
var operations = []operation{
	{"GetObject", "GET /{bucket}/{key}", "", nil},
	{"GetObject", "GET /{bucket}/{key}?versionId={version}", "", nil},
	{"GetObject", "GET /{bucket}/{key}?partNumber={number}", "", nil},
	{"GetObject", "GET /{bucket}/{key}?torrent", "", nil},
	{"GetObjectAttributes", "GET /{bucket}/{key}?attributes", "X-Amz-Object-Attributes: ETag,ObjectSize", nil},
	{"GetObjectTagging", "GET /{bucket}/{key}?tagging&versionId={version}", "", nil},
	{"GetObjectAcl", "GET /{bucket}/{key}?acl", "", nil},
	{"GetObjectRetention", "GET /{bucket}/{key}?retention&versionId={version}", "", nil},
	{"GetObjectLegalHold", "GET /{bucket}/{key}?legal-hold&versionId={version}", "", nil},
	{"HeadObject", "HEAD /{bucket}/{key}", "", nil},
	{"HeadObject", "HEAD /{bucket}/{key}?versionId={version}", "", nil},
	{"PutObject", "PUT /{bucket}/{key}", "", content},
	{"PutObject", "PUT /{bucket}/{key}", "If-None-Match: *", content},
	{"PutObject", "PUT /{bucket}/{key}", "X-Amz-Tagging: a={key}", content},
	{"PutObject", "PUT /{bucket}/{key}", "X-Amz-Acl: public-read-write", content},
	{"PutObject", "PUT /{bucket}/{key}/", "", nil},
	{"CopyObject", "PUT /{bucket}/{key}", copySource, nil},
	{"PutObjectTagging", "PUT /{bucket}/{key}?tagging&versionId={version}", "", document("Tagging", "TagSet")},
	{"PutObjectAcl", "PUT /{bucket}/{key}?acl", "X-Amz-Acl: public-read", nil},
	{"PutObjectRetention", "PUT /{bucket}/{key}?retention", "",
		document("Retention", "Mode", "RetainUntilDate")},
	{"PutObjectLegalHold", "PUT /{bucket}/{key}?legal-hold", "", document("LegalHold", "Status")},
	{"DeleteObject", "DELETE /{bucket}/{key}", "", nil},
	{"DeleteObject", "DELETE /{bucket}/{key}?versionId={version}", "", nil},
	{"DeleteObject", "DELETE /{bucket}/{key}/", "", nil},
	{"DeleteObjectTagging", "DELETE /{bucket}/{key}?tagging&versionId={version}", "", nil},
	{"RestoreObject", "POST /{bucket}/{key}?restore", "", document("RestoreRequest", "Days")},
	{"SelectObjectContent", "POST /{bucket}/{key}?select&select-type=2", "",
		document("SelectRequest", "RequestProgress", "Expression")},
	{"CreateMultipartUpload", "POST /{bucket}/{key}?uploads", "", nil},
	{"UploadPart", "PUT /{bucket}/{key}?partNumber={number}&uploadId={id}", "", content},
	{"UploadPartCopy", "PUT /{bucket}/{key}?partNumber={number}&uploadId={id}", copySource, nil},
	{"ListParts", "GET /{bucket}/{key}?uploadId={id}&part-number-marker={number}", "", nil},
	{"ListParts", "GET /{bucket}/{key}?uploadId={id}", "", nil},
	{"CompleteMultipartUpload", "POST /{bucket}/{key}?uploadId={id}", "", parts},
	{"AbortMultipartUpload", "DELETE /{bucket}/{key}?uploadId={id}", "", nil},
	{"Preflight", "OPTIONS /{bucket}/{key}", "Origin: https://example.com", nil},

	{"ListObjectsV2",
		"GET /{bucket}?prefix={prefix}&delimiter={delimiter}&list-type=2&start-after={key}&fetch-owner=true", "",
		nil},
	{"ListObjectsV2", "GET /{bucket}?prefix={prefix}&list-type=2&continuation-token={key}&max-keys={number}",
		"", nil},
	{"ListObjects", "GET /{bucket}?prefix={prefix}&delimiter={delimiter}&marker={key}&max-keys={number}", "",
		nil},
	{"ListObjectVersions",
		"GET /{bucket}?prefix={prefix}&versions&key-marker={key}&version-id-marker={version}", "", nil},
	{"ListMultipartUploads", "GET /{bucket}?prefix={prefix}&delimiter={delimiter}&uploads", "", nil},
	{"ListMultipartUploads",
		"GET /{bucket}?prefix={prefix}&delimiter={delimiter}&uploads&key-marker={key}&upload-id-marker={id}", "",
		nil},
	{"DeleteObjects", "POST /{bucket}?delete", "", deletions},
	{"PostObject", "POST /{bucket}", "", form},
	{"HeadBucket", "HEAD /{bucket}", "", nil},
	{"CreateBucket", "PUT /{bucket}", "", nil},
	{"DeleteBucket", "DELETE /{bucket}", "", nil},
	{"GetBucketLocation", "GET /{bucket}?location", "", nil},
	{"GetBucket", "GET /{bucket}?{subresource}", "", nil},
	{"PutBucket", "PUT /{bucket}?{subresource}", "", document("Configuration", "Rule", "Status")},
	{"PutBucketAcl", "PUT /{bucket}?acl", "X-Amz-Acl: public-read-write", nil},
	{"PutBucketPolicy", "PUT /{bucket}?policy", "", policy},
	{"DeleteBucket", "DELETE /{bucket}?{subresource}", "", nil},
	{"Preflight", "OPTIONS /{bucket}", "Origin: https://example.com", nil},
	{"ListBuckets", "GET /?prefix={prefix}&continuation-token={key}", "", nil},

	{"CreateUser", "PATCH /create-user", "", document("Account")},
	{"DeleteUser", "PATCH /delete-user?access={key}", "", nil},
	{"UpdateUser", "PATCH /update-user?access={key}", "", document("MutableProps")},
	{"ListUsers", "PATCH /list-users", "", nil},
	{"ListAllBuckets", "PATCH /list-buckets", "", nil},
	{"ChangeBucketOwner", "PATCH /change-bucket-owner?bucket={bucket}&owner={key}", "", nil},
	{"CreateBucketOf", "PATCH /{bucket}/create", "X-Vgw-Owner: project", nil},
}

// pathOperations have inputs other than an object's key that the server may take for paths.
var pathOperations = slices.DeleteFunc(slices.Clone(operations), func(o operation) bool {
	_, query, _ := strings.Cut(o.request, "?")
	return !strings.Contains(query+o.header, "{") && o.name != "CreateMultipartUpload"
})
