package main

import (
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/pkg/xattr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// Two accounts take turns at sending requests of every kind to the server, with any names, IDs and encodings,
// each signed with the account's own key. They change nothing of the other account, neither on the disk nor
// as that account sees it, and no answer reveals anything of it. STORAGE_OPERATIONS is the number of
// requests, and STORAGE_SEED repeats a sequence.
func TestAccountsHaveNoEffectOnEachOther(t *testing.T) {
	number, seed := setting(t, "STORAGE_OPERATIONS", 3000), setting(t, "STORAGE_SEED", 1)
	t.Logf("STORAGE_SEED=%d", seed)
	server := storagetest.Start(t, "exercises", "project")
	f := &fuzzer{
		t: t, server: server, http: server.HTTPClient(), random: rand.New(rand.NewPCG(seed, 0)),
		codes: map[string]int{}, accepted: map[string]int{},
	}
	f.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	f.attacker, f.victim = newAccount(server, "project"), newAccount(server, "exercises")

	effects := 0
	for sent := uint64(0); sent < number; {
		f.attacker, f.victim = f.victim, f.attacker
		f.reset(f.attacker)
		f.reset(f.victim)
		seen, files := f.seenBy(f.victim), f.filesExcept(f.attacker)
		effect := ""
		for i := 0; i < 50 && effect == ""; i++ {
			effect = f.try(files)
			sent++
		}
		if effect == "" {
			if now := f.seenBy(f.victim); now != seen {
				effect = fmt.Sprintf("%s saw %s\nand sees %s", f.victim.name, seen, now)
			}
		}
		if effect != "" {
			t.Errorf("%d: %s", sent, effect)
			effects++
		}
	}
	t.Logf("%d requests, %d effects; answers: %v; accepted: %v", number, effects, f.codes, f.accepted)
	assert.Zero(t, f.codes["SignatureDoesNotMatch"], "these were refused before they could try anything")
	if number < 3000 {
		return // some operations may not be among them
	}
	for _, name := range []string{
		"GetObject", "HeadObject", "PutObject", "CopyObject", "DeleteObject", "DeleteObjects", "ListObjects",
		"ListObjectsV2", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "ListParts",
		"ListMultipartUploads",
		"CompleteMultipartUpload", "AbortMultipartUpload",
	} {
		assert.NotZero(t, f.accepted[name], name)
	}
}

func setting(t *testing.T, variable string, byDefault uint64) uint64 {
	t.Helper()
	number, err := strconv.ParseUint(cmp.Or(os.Getenv(variable), strconv.FormatUint(byDefault, 10)), 10, 64)
	require.NoError(t, err, variable)
	return number
}

// account has objects with a secret in their content and metadata, and one with the secret in its name.
type account struct {
	name, key, secret string
	minio.Core
	upload, part string   // an unfinished upload of the key a, and the ETag of its first part
	etags        []string // of its objects
}

func newAccount(server *storagetest.Server, name string) *account {
	return &account{
		name: name, key: server.SecretKey(name), secret: "secret-of-" + name,
		Core: minio.Core{Client: server.Client(name)},
	}
}

// fuzzer sends the requests of an attacker. They must not affect the victim.
type fuzzer struct {
	t                *testing.T
	server           *storagetest.Server
	http             *http.Client
	random           *rand.Rand
	attacker, victim *account
	honesty          int            // of the next request, in percent
	codes            map[string]int // answers by their code
	accepted         map[string]int // accepted requests by operation
}

// reset replaces everything that an account has.
func (f *fuzzer) reset(p *account) {
	f.t.Helper()
	dir := filepath.Join(f.server.DataDir(), bucket)
	require.NoError(f.t, os.RemoveAll(filepath.Join(dir, p.name)))
	for _, name := range f.uploads(p.name) {
		require.NoError(f.t, os.RemoveAll(name))
	}
	ctx, secret := f.t.Context(), strings.NewReader(p.secret)
	options := minio.PutObjectOptions{UserMetadata: map[string]string{"note": p.secret}}
	p.etags = nil
	for _, key := range []string{"1", "a", "d/b", p.secret} {
		content := strings.NewReader(key + " " + p.secret)
		info, err := p.PutObject(ctx, bucket, p.name+"/"+key, content, content.Size(), "", "", options)
		require.NoError(f.t, err)
		p.etags = append(p.etags, info.ETag)
	}
	var err error
	p.upload, err = p.NewMultipartUpload(ctx, bucket, p.name+"/a", options)
	require.NoError(f.t, err)
	part, err := p.PutObjectPart(ctx, bucket, p.name+"/a", p.upload, 1, secret, secret.Size(),
		minio.PutObjectPartOptions{})
	require.NoError(f.t, err)
	p.part = part.ETag
	p.etags = append(p.etags, p.part)
}

// seenBy returns everything that an account can find out about its own objects and uploads.
func (f *fuzzer) seenBy(p *account) string {
	f.t.Helper()
	var seen strings.Builder
	all := minio.ListObjectsOptions{Prefix: p.name + "/", Recursive: true}
	for object := range p.Client.ListObjects(f.t.Context(), bucket, all) {
		require.NoError(f.t, object.Err)
		reader, info, _, err := p.GetObject(f.t.Context(), bucket, object.Key, minio.GetObjectOptions{})
		require.NoError(f.t, err, object.Key)
		content, err := io.ReadAll(reader)
		require.NoError(f.t, err, object.Key)
		require.NoError(f.t, reader.Close())
		fmt.Fprintf(&seen, "%s %s %s %s %v\n", object.Key, object.LastModified, object.ETag, content,
			info.UserMetadata)
	}
	uploads, err := p.ListMultipartUploads(f.t.Context(), bucket, p.name+"/", "", "", "", 1000)
	require.NoError(f.t, err)
	for _, upload := range uploads.Uploads {
		parts, err := p.ListObjectParts(f.t.Context(), bucket, upload.Key, upload.UploadID, 0, 1000)
		require.NoError(f.t, err, upload.Key)
		fmt.Fprintf(&seen, "%s %s %v\n", upload.Key, upload.UploadID, parts.ObjectParts)
	}
	return seen.String()
}

// filesExcept returns all files on the server's disk except an account's.
func (f *fuzzer) filesExcept(p *account) map[string]string {
	f.t.Helper()
	root := filepath.Dir(f.server.DataDir())
	temporary := filepath.Join(f.server.DataDir(), bucket, ".sgwtmp")
	own := f.uploads(p.name)
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case slices.Contains(own, path), path == filepath.Join(f.server.DataDir(), bucket, p.name),
			entry.Name() == ".vgwlocks":
			return fs.SkipDir
		case path == temporary, path == filepath.Join(temporary, "multipart"):
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		attributes, err := xattr.LList(path)
		if err != nil {
			return err
		}
		state := info.Mode().String()
		for _, name := range attributes {
			value, err := xattr.LGet(path, name)
			if err != nil {
				return err
			}
			state += fmt.Sprintf(" %s=%s", name, value)
		}
		if !entry.IsDir() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			state += fmt.Sprintf(" %s %s", info.ModTime(), content)
		}
		files[path] = state
		return nil
	})
	require.NoError(f.t, err)
	return files
}

// uploads returns the folders with unfinished uploads of an account.
func (f *fuzzer) uploads(account string) (own []string) {
	f.t.Helper()
	folders, err := filepath.Glob(filepath.Join(f.server.DataDir(), bucket, ".sgwtmp/multipart/*"))
	require.NoError(f.t, err)
	for _, folder := range folders {
		key, err := xattr.LGet(folder, "user.objname")
		if err == nil && strings.HasPrefix(string(key), account+"/") {
			own = append(own, folder)
		}
	}
	return own
}

// try sends a request of the attacker, and returns its effect on other files or the secrets in the answer, if
// any.
func (f *fuzzer) try(files map[string]string) string {
	f.t.Helper()
	operation := pick(f, pick(f, operations, pathOperations)...)
	request := f.request(operation)
	description := fmt.Sprintln(operation.name, "of", f.attacker.name, request.Method, request.URL,
		request.Header)
	response, err := f.http.Do(request)
	require.NoError(f.t, err, description)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(f.t, err, description)

	var answer struct{ Code, UploadId string }
	if err := xml.Unmarshal(body, &answer); err != nil && !errors.Is(err, io.EOF) {
		answer.Code = ""
	}
	f.codes[cmp.Or(answer.Code, strconv.Itoa(response.StatusCode))]++
	if response.StatusCode < 300 {
		f.accepted[operation.name]++
		if answer.UploadId != "" && operation.name == "CreateMultipartUpload" {
			f.attacker.upload = answer.UploadId
		}
	}
	all := fmt.Sprint(response.Header, string(body))
	for _, secret := range append(f.victim.etags, f.victim.secret) {
		if strings.Contains(all, secret) {
			return fmt.Sprintf("%s got %q: %s", description, secret, all)
		}
	}
	now := f.filesExcept(f.attacker)
	if !maps.Equal(files, now) {
		return fmt.Sprintf("%s answered with %s, changed other files:%s", description, response.Status,
			difference(files, now))
	}
	return ""
}

func difference(before, after map[string]string) string {
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if now, found := after[path]; !found {
			fmt.Fprintf(&text, "\n%s is gone", path)
		} else if now != before[path] {
			fmt.Fprintf(&text, "\n%s was %q and is %q", path, before[path], now)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if _, found := before[path]; !found {
			fmt.Fprintf(&text, "\n%s is new", path)
		}
	}
	return text.String()
}
