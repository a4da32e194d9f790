package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7/pkg/signer"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

var placeholder = regexp.MustCompile(`{\w+}`)

// request returns a signed request for an operation: sometimes as an honest client would send it, if in other
// encodings, sometimes with little in common.
func (f *fuzzer) request(o operation) *http.Request {
	f.t.Helper()
	f.honesty = pick(f, 100, 75, 40) // percent
	method, target, _ := strings.Cut(o.request, " ")
	path, query, _ := strings.Cut(target, "?")
	if !f.honest() && f.random.IntN(4) == 0 {
		twice := pick(f, "uploadId={id}", "versionId={version}", "prefix={prefix}", "partNumber={number}")
		all := append(strings.Split(query, "&"), twice)
		f.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		query = strings.Join(all, "&")
	}
	header := http.Header{"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"}}
	if name, value, found := strings.Cut(o.header, ": "); found {
		header.Set(name, f.fill(value))
	}
	var body []byte
	if o.body != nil {
		body = o.body(f, header)
	}
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.server.Endpoint(), bytes.NewReader(body))
	require.NoError(f.t, err)
	request.URL, err = url.Parse(f.server.Endpoint() + f.fill(path))
	require.NoError(f.t, err)
	request.Header = header
	query = f.fill(query)
	request.URL.RawQuery = inOrder(query) // as the signature has it
	request = signer.SignV4(*request, f.attacker.name, f.attacker.key, "", storagetest.Region)
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

func (f *fuzzer) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text,
		func(placeholder string) string { return f.encode(f.value(placeholder)) })
}

func (f *fuzzer) honest() bool { return f.random.IntN(100) < f.honesty }

// value returns a value for a name in braces.
func (f *fuzzer) value(placeholder string) string {
	own, other := f.attacker, f.victim
	honest := f.honest()
	switch {
	case placeholder == "{key}":
		return f.key()
	case placeholder == "{bucket}" && (honest || f.random.IntN(8) > 0):
		return bucket
	case placeholder == "{bucket}":
		return pick(f, "", ".", "..", "accounts", ".vgwlocks", ".sgwtmp", "./backups", "../data/backups", "another")
	case placeholder == "{source}" && (honest || f.random.IntN(4) > 0):
		return pick(f, "", "/") + f.value("{bucket}") + "/" + f.key()
	case placeholder == "{source}":
		return bucket + "/" + f.key() + "?versionId=" + f.value("{version}")
	case placeholder == "{prefix}" && honest:
		return own.name + pick(f, "/", "/d/", "/d")
	case placeholder == "{prefix}":
		return pick(f, own.name+"/", "") + f.key()
	case placeholder == "{delimiter}" && honest:
		return pick(f, "", "/")
	case placeholder == "{delimiter}":
		return pick(f, own.name, other.name, "..", "\x00")
	case placeholder == "{id}" && honest:
		return own.upload
	case placeholder == "{id}":
		up := strings.Repeat("../", pick(f, 3, 3, 3, 0, 1, 2, 4, 5)) // three lead to the bucket
		return pick(f, up+own.name, up+other.name, up+f.key(), own.upload+"/../"+up+f.key(), other.upload,
			"../"+uploadsOf(other.name+"/a")+"/"+other.upload, strings.ToUpper(own.upload), own.upload+"\x00", "null",
			"", "0193a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b")
	case placeholder == "{version}" && honest:
		return ""
	case placeholder == "{version}":
		return pick(f, "null", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "/../../"+own.name+"/xxxxxxxxxxx", f.key())
	case placeholder == "{number}" && honest:
		return "1"
	case placeholder == "{number}":
		return pick(f, "0", "1", "2", "10000", "10001", "-1", "1/../../x", "")
	case placeholder == "{subresource}":
		return pick(f, "policy", "policyStatus", "acl", "cors", "versioning", "tagging", "ownershipControls",
			"object-lock", "website", "lifecycle", "encryption", "replication", "notification", "publicAccessBlock")
	}
	panic(placeholder)
}

// key returns a key of the attacker, a key of the victim, or a path through both.
func (f *fuzzer) key() string {
	own, other := f.attacker.name+"/", f.victim.name+"/"
	known := pick(f, "1", "a", "a", "a", "d/b", "d/", "new")
	if f.honest() {
		return own + known
	}
	return pick(f, own+known, other+known, own+"../"+other+known, other+"../"+own+known,
		f.detour(), own+f.detour(), other+f.detour())
}

func (f *fuzzer) detour() string {
	segments := make([]string, 1+f.random.IntN(6))
	for i := range segments {
		segments[i] = pick(f, f.attacker.name, f.attacker.name, f.victim.name, f.victim.name, "..", "..", "..",
			".", "",
			"1", "a", "d", "b", ".sgwtmp", "multipart", uploadsOf(f.victim.name+"/a"), f.victim.upload, "backups",
			"accounts", "*", "?", "+", " ", "é", "#", "%2e%2e", "..%2f", "%252e%252e", "..\x00", "\x00", "..\\",
			"．．", "..;",
			"\x7f\x01", "&prefix=", "?versionId=null", strings.Repeat("x", 300))
	}
	return strings.Join(segments, "/")
}

// uploadsOf returns the name of the folder with the unfinished uploads of a key.
func uploadsOf(key string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(key)))
}

var plain = regexp.MustCompile(`[a-zA-Z0-9._~/-]`)

// encode escapes a text for a URL in one of many ways.
func (f *fuzzer) encode(text string) string {
	var encoded strings.Builder
	for _, b := range []byte(text) {
		if plain.Match([]byte{b}) && f.random.IntN(8) > 0 {
			encoded.WriteByte(b)
		} else {
			fmt.Fprintf(&encoded, pick(f, "%%%02x", "%%%02X"), b)
		}
	}
	return encoded.String()
}

func pick[T any](f *fuzzer, from ...T) T {
	return from[f.random.IntN(len(from))]
}
