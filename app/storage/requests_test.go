package main

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// operation is a request that the server knows. What stands in braces is another value each time.
type operation struct {
	name, request string
	header        string // one more, as it is written
	body          func(s *strangers, header http.Header) []byte
}

const copySource = "X-Amz-Copy-Source: {source}"

// operations has every S3 operation, some in several forms, and versitygw's administrative ones.
var operations = []operation{
	{"GetObject", "GET /{bucket}/{key}", "", nil},
	{"GetObject", "GET /{bucket}/{key}?versionId={version}", "", nil},
	{"GetObject", "GET /{bucket}/{key}?partNumber={number}", "", nil},
	{"GetObject", "GET /{bucket}/{key}?torrent", "", nil},
	{"GetObjectAttributes",
		"GET /{bucket}/{key}?attributes", "X-Amz-Object-Attributes: ETag,ObjectSize", nil},
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
	{"PutObjectTagging",
		"PUT /{bucket}/{key}?tagging&versionId={version}", "", document("Tagging", "TagSet")},
	{"PutObjectAcl", "PUT /{bucket}/{key}?acl", "X-Amz-Acl: public-read", nil},
	{"PutObjectRetention",
		"PUT /{bucket}/{key}?retention", "", document("Retention", "Mode", "RetainUntilDate")},
	{"PutObjectLegalHold", "PUT /{bucket}/{key}?legal-hold", "", document("LegalHold", "Status")},
	{"DeleteObject", "DELETE /{bucket}/{key}", "", nil},
	{"DeleteObject", "DELETE /{bucket}/{key}?versionId={version}", "", nil},
	{"DeleteObject", "DELETE /{bucket}/{key}/", "", nil},
	{"DeleteObjectTagging", "DELETE /{bucket}/{key}?tagging&versionId={version}", "", nil},
	{"RestoreObject", "POST /{bucket}/{key}?restore", "", document("RestoreRequest", "Days")},
	{"SelectObjectContent",
		"POST /{bucket}/{key}?select&select-type=2", "",
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
	{"ListObjectsV2",
		"GET /{bucket}?prefix={prefix}&list-type=2&continuation-token={key}&max-keys={number}", "", nil},
	{"ListObjects",
		"GET /{bucket}?prefix={prefix}&delimiter={delimiter}&marker={key}&max-keys={number}", "", nil},
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

// leading are those operations that have more than the place of an object that may lead somewhere.
var leading = slices.DeleteFunc(slices.Clone(operations), func(o operation) bool {
	_, query, _ := strings.Cut(o.request, "?")
	return !strings.Contains(query+o.header, "{") && o.name != "CreateMultipartUpload"
})

var place = regexp.MustCompile(`{\w+}`)

// request makes one of an operation. Some are what an honest client would send, if in other encodings, others
// have little of it.
func (s *strangers) request(o operation) *http.Request {
	s.t.Helper()
	s.honesty = pick(s, 100, 75, 40) // percent
	method, target, _ := strings.Cut(o.request, " ")
	path, query, _ := strings.Cut(target, "?")
	if !s.honest() && s.random.IntN(4) == 0 {
		twice := pick(s, "uploadId={id}", "versionId={version}", "prefix={prefix}", "partNumber={number}")
		all := append(strings.Split(query, "&"), twice)
		s.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		query = strings.Join(all, "&")
	}
	header := http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}
	if name, value, found := strings.Cut(o.header, ": "); found {
		header.Set(name, s.fill(value))
	}
	var body []byte
	if o.body != nil {
		body = o.body(s, header)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.server.Endpoint(), bytes.NewReader(body))
	require.NoError(s.t, err)
	request.URL, err = url.Parse(s.server.Endpoint() + s.fill(path))
	require.NoError(s.t, err)
	request.Header = header
	query = s.fill(query)
	request.URL.RawQuery = inOrder(query) // as it is signed
	request = signer.SignV4(*request, s.thief.name, s.thief.key, "", storagetest.Region)
	request.URL.RawQuery = query
	return request
}

func inOrder(query string) string {
	values, _ := url.ParseQuery(query)
	for _, all := range values {
		slices.Sort(all)
	}
	return values.Encode()
}

func (s *strangers) fill(text string) string {
	return place.ReplaceAllStringFunc(text, func(place string) string { return s.encode(s.value(place)) })
}

func (s *strangers) honest() bool { return s.random.IntN(100) < s.honesty }

// value is what may stand in a place.
func (s *strangers) value(place string) string {
	one, other := s.thief, s.victim
	honest := s.honest()
	switch {
	case place == "{key}":
		return s.key()
	case place == "{bucket}" && (honest || s.random.IntN(8) > 0):
		return bucket
	case place == "{bucket}":
		return pick(s, "", ".", "..", "accounts", ".vgwlocks", ".sgwtmp", "./backups", "../data/backups", "another")
	case place == "{source}" && (honest || s.random.IntN(4) > 0):
		return pick(s, "", "/") + s.value("{bucket}") + "/" + s.key()
	case place == "{source}":
		return bucket + "/" + s.key() + "?versionId=" + s.value("{version}")
	case place == "{prefix}" && honest:
		return one.name + pick(s, "/", "/d/", "/d")
	case place == "{prefix}":
		return pick(s, one.name+"/", "") + s.key()
	case place == "{delimiter}" && honest:
		return pick(s, "", "/")
	case place == "{delimiter}":
		return pick(s, one.name, other.name, "..", "\x00")
	case place == "{id}" && honest:
		return one.upload
	case place == "{id}":
		up := strings.Repeat("../", pick(s, 3, 3, 3, 0, 1, 2, 4, 5)) // three lead to the bucket
		return pick(s, up+one.name, up+other.name, up+s.key(), one.upload+"/../"+up+s.key(), other.upload,
			"../"+uploadsOf(other.name+"/a")+"/"+other.upload, strings.ToUpper(one.upload), one.upload+"\x00", "null",
			"",
			"0193a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b")
	case place == "{version}" && honest:
		return ""
	case place == "{version}":
		return pick(s, "null", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "/../../"+one.name+"/xxxxxxxxxxx", s.key())
	case place == "{number}" && honest:
		return "1"
	case place == "{number}":
		return pick(s, "0", "1", "2", "10000", "10001", "-1", "1/../../x", "")
	case place == "{subresource}":
		return pick(s, "policy", "policyStatus", "acl", "cors", "versioning", "tagging", "ownershipControls",
			"object-lock", "website", "lifecycle", "encryption", "replication", "notification", "publicAccessBlock")
	}
	panic(place)
}

// key is one of what the account has, of what the other has, or a path through both.
func (s *strangers) key() string {
	one, other := s.thief.name+"/", s.victim.name+"/"
	known := pick(s, "1", "a", "a", "a", "d/b", "d/", "new")
	if s.honest() {
		return one + known
	}
	return pick(s, one+known, other+known, one+"../"+other+known, other+"../"+one+known,
		s.detour(), one+s.detour(), other+s.detour())
}

func (s *strangers) detour() string {
	segments := make([]string, 1+s.random.IntN(6))
	for i := range segments {
		segments[i] = pick(s, s.thief.name, s.thief.name, s.victim.name, s.victim.name, "..", "..", "..", ".", "",
			"1", "a", "d", "b", ".sgwtmp", "multipart", uploadsOf(s.victim.name+"/a"), s.victim.upload, "backups",
			"accounts",
			"*", "?", "+", " ", "é", "#", "%2e%2e", "..%2f", "%252e%252e", "..\x00", "\x00", "..\\", "．．", "..;",
			"\x7f\x01",
			"&prefix=", "?versionId=null", strings.Repeat("x", 300))
	}
	return strings.Join(segments, "/")
}

// uploadsOf is the folder with the unfinished uploads of a key.
func uploadsOf(key string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(key)))
}

var plain = regexp.MustCompile(`[a-zA-Z0-9._~/-]`)

// encode writes a text for a URL, in one of many ways.
func (s *strangers) encode(text string) string {
	var encoded strings.Builder
	for _, b := range []byte(text) {
		if plain.Match([]byte{b}) && s.random.IntN(8) > 0 {
			encoded.WriteByte(b)
		} else {
			fmt.Fprintf(&encoded, pick(s, "%%%02x", "%%%02X"), b)
		}
	}
	return encoded.String()
}

func pick[T any](s *strangers, from ...T) T {
	return from[s.random.IntN(len(from))]
}

func content(s *strangers, _ http.Header) []byte {
	return fmt.Appendf(nil, "%s by %s", pick(s, "something", "else"), s.thief.name)
}

func policy(*strangers, http.Header) []byte { return []byte(openPolicy) }

// document is one of XML, with some of its elements, all empty.
func document(name string, elements ...string) func(*strangers, http.Header) []byte {
	return func(s *strangers, header http.Header) []byte {
		var inner string
		for _, element := range elements {
			inner += pick(s, "", "<"+element+"></"+element+">")
		}
		return withMD5(header, "<"+name+">"+inner+"</"+name+">")
	}
}

func parts(s *strangers, _ http.Header) []byte {
	part := ""
	if s.honest() {
		part = fmt.Sprintf("<PartNumber>%s</PartNumber><ETag>%s</ETag>", s.value("{number}"), s.thief.part)
	}
	return []byte("<CompleteMultipartUpload><Part>" + part + "</Part></CompleteMultipartUpload>")
}

func deletions(s *strangers, header http.Header) []byte {
	var objects string
	for range 1 + s.random.IntN(4) {
		objects += "<Object>"
		if s.random.IntN(16) > 0 {
			objects += "<Key>" + escaped(s.key()) + "</Key>"
		}
		if version := s.value("{version}"); version != "" {
			objects += "<VersionId>" + escaped(version) + "</VersionId>"
		}
		objects += "</Object>"
	}
	return withMD5(header, "<Delete>"+objects+"</Delete>")
}

func escaped(text string) string {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text))
	return escaped.String()
}

func withMD5(header http.Header, body string) []byte {
	sum := md5.Sum([]byte(body))
	header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	return []byte(body)
}

// form is an upload from a web page, with a signature of its own.
func form(s *strangers, header http.Header) []byte {
	policy := minio.NewPostPolicy()
	require.NoError(s.t, policy.SetBucket(bucket))
	require.NoError(s.t, policy.SetExpires(time.Now().Add(time.Hour)))
	key := s.key()
	if strings.TrimSpace(key) == "" { // which minio's client does not take
		key = s.victim.name + "/a"
	}
	require.NoError(s.t, policy.SetKey(key))
	_, fields, err := s.thief.PresignedPostPolicy(s.t.Context(), policy)
	require.NoError(s.t, err)
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for name, value := range fields {
		require.NoError(s.t, writer.WriteField(name, value))
	}
	file, err := writer.CreateFormFile("file", "../"+s.victim.name+"/a")
	require.NoError(s.t, err)
	_, err = file.Write(content(s, header))
	require.NoError(s.t, err)
	require.NoError(s.t, writer.Close())
	header.Set("Content-Type", writer.FormDataContentType())
	return body.Bytes()
}
