package main

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"
)

func content(f *fuzzer, _ http.Header) []byte {
	return fmt.Appendf(nil, "%s by %s", pick(f, "something", "else"), f.attacker.name)
}

func policy(*fuzzer, http.Header) []byte { return []byte(openPolicy) }

// document returns XML with some of the elements, all empty.
func document(name string, elements ...string) func(*fuzzer, http.Header) []byte {
	return func(f *fuzzer, header http.Header) []byte {
		var inner string
		for _, element := range elements {
			inner += pick(f, "", "<"+element+"></"+element+">")
		}
		return withMD5(header, "<"+name+">"+inner+"</"+name+">")
	}
}

func parts(f *fuzzer, _ http.Header) []byte {
	part := ""
	if f.honest() {
		part = fmt.Sprintf("<PartNumber>%s</PartNumber><ETag>%s</ETag>", f.value("{number}"), f.attacker.part)
	}
	return []byte("<CompleteMultipartUpload><Part>" + part + "</Part></CompleteMultipartUpload>")
}

func deletions(f *fuzzer, header http.Header) []byte {
	var objects string
	for range 1 + f.random.IntN(4) {
		objects += "<Object>"
		if f.random.IntN(16) > 0 {
			objects += "<Key>" + escaped(f.key()) + "</Key>"
		}
		if version := f.value("{version}"); version != "" {
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

// form returns an upload from a web page, which has a signature of its own.
func form(f *fuzzer, header http.Header) []byte {
	policy := minio.NewPostPolicy()
	require.NoError(f.t, policy.SetBucket(bucket))
	require.NoError(f.t, policy.SetExpires(time.Now().Add(time.Hour)))
	key := f.key()
	if strings.TrimSpace(key) == "" { // minio's client refuses it
		key = f.victim.name + "/a"
	}
	require.NoError(f.t, policy.SetKey(key))
	_, fields, err := f.attacker.PresignedPostPolicy(f.t.Context(), policy)
	require.NoError(f.t, err)
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for name, value := range fields {
		require.NoError(f.t, writer.WriteField(name, value))
	}
	file, err := writer.CreateFormFile("file", "../"+f.victim.name+"/a")
	require.NoError(f.t, err)
	_, err = file.Write(content(f, header))
	require.NoError(f.t, err)
	require.NoError(f.t, writer.Close())
	header.Set("Content-Type", writer.FormDataContentType())
	return body.Bytes()
}
