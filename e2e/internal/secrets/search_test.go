package secrets

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSearch(t *testing.T) {
	const (
		password = `correct/horse "battery" staple?`
		line     = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgabcdefghijklmnop"
		key      = "-----BEGIN PRIVATE KEY-----\n" + line + "\n" + "lastLineOfTheKey\n-----END PRIVATE KEY-----\n"
	)
	s := NewSearch()
	for name, secret := range map[string]string{
		"password": password,
		"url":      "postgres://alice:" + url.PathEscape("password within a URL") + "@localhost/db",
		"key":      key,
		"verifier": `\set owner_verifier 'SCRAM-SHA-256$4096:c2FsdCBvZiB0aGUgcm9sZQ==$` +
			`c3RvcmVkIGtleQ==abcd:c2VydmVyIGtleQ==abcd'`,
	} {
		require.NoError(t, s.Add(name, secret))
	}
	require.ErrorContains(t, s.Add("short", "fifteen letters"), "by chance")

	quoted, err := json.Marshal(map[string]string{"a": password})
	require.NoError(t, err)
	compressed := func(writer func(io.Writer) io.WriteCloser) string {
		var text bytes.Buffer
		w := writer(&text)
		_, err := io.WriteString(w, "before "+password+" after")
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return text.String()
	}
	places := map[string]string{
		"text":           "a " + password + " b",
		"json":           string(quoted),
		"query":          "?a=" + url.QueryEscape(password) + "&b",
		"path":           "/" + url.PathEscape(password) + "/",
		"base64 at 0":    base64.StdEncoding.EncodeToString([]byte(password)),
		"base64 at 1":    base64.StdEncoding.EncodeToString([]byte("1" + password + "behind it")),
		"base64 at 2":    base64.URLEncoding.EncodeToString([]byte("12" + password + "4")),
		"gzip":           compressed(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
		"zstd":           compressed(func(w io.Writer) io.WriteCloser { e, _ := zstd.NewWriter(w); return e }),
		"url":            "password within a URL",
		"key":            "...lastLineOfTheKey...",
		"verifier":       "c2VydmVyIGtleQ==abcd",
		"nothing":        strings.Repeat("correct/horse ", 1000) + "c2FsdCBvZiB0aGUgcm9sZQ==",
		"nothing at all": "",
	}
	// Wherever it is, also across the border of two parts that are read.
	for shift := range 2 * len(password) {
		places["far "+strings.Repeat("i", shift)] = strings.Repeat(".", s.longest+1<<18-shift) + password
	}
	for place, text := range places {
		require.NoError(t, s.In(place, strings.NewReader(text)))
		var found []string
		for f := range s.Found {
			if f.Place == place {
				found = append(found, f.Secret)
			}
		}
		switch place {
		case "nothing", "nothing at all":
			assert.Empty(t, found, place)
		case "url", "key", "verifier":
			assert.Equal(t, []string{place}, found)
		default:
			assert.Equal(t, []string{"password"}, found, place)
		}
	}
	assert.Equal(t, len(places), s.Places)
}
