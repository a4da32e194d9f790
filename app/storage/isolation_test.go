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

// Two accounts take turns at sending requests of every kind to the server, with any names, ids and encodings,
// each signed with the account's own key. Nothing of the other account changes by them, neither on the disk
// nor as that account sees it, and no answer has anything of the other's in it. STORAGE_OPERATIONS is the
// number of requests, STORAGE_SEED repeats a sequence.
func TestAccountsHaveNoEffectOnEachOther(t *testing.T) {
	number, seed := setting(t, "STORAGE_OPERATIONS", 3000), setting(t, "STORAGE_SEED", 1)
	t.Logf("STORAGE_SEED=%d", seed)
	server := storagetest.Start(t, "exercises", "project")
	s := &strangers{
		t: t, server: server, http: server.HTTPClient(), random: rand.New(rand.NewPCG(seed, 0)),
		codes: map[string]int{}, accepted: map[string]int{},
	}
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.thief, s.victim = newParty(server, "project"), newParty(server, "exercises")

	effects := 0
	for sent := uint64(0); sent < number; {
		s.thief, s.victim = s.victim, s.thief
		s.stock(s.thief)
		s.stock(s.victim)
		seen, held := s.seenBy(s.victim), s.heldBesides(s.thief)
		effect := ""
		for i := 0; i < 50 && effect == ""; i++ {
			effect = s.try(held)
			sent++
		}
		if effect == "" {
			if now := s.seenBy(s.victim); now != seen {
				effect = fmt.Sprintf("%s saw %s\nand sees %s", s.victim.name, seen, now)
			}
		}
		if effect != "" {
			t.Errorf("%d: %s", sent, effect)
			effects++
		}
	}
	t.Logf("%d requests, %d effects; answers: %v; accepted: %v", number, effects, s.codes, s.accepted)
	assert.Zero(t, s.codes["SignatureDoesNotMatch"], "these never came to what they were to try")
	if number < 3000 {
		return // which may leave some out
	}
	for _, name := range []string{
		"GetObject", "HeadObject", "PutObject", "CopyObject", "DeleteObject", "DeleteObjects", "ListObjects",
		"ListObjectsV2", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "ListParts",
		"ListMultipartUploads",
		"CompleteMultipartUpload", "AbortMultipartUpload",
	} {
		assert.NotZero(t, s.accepted[name], name)
	}
}

func setting(t *testing.T, variable string, byDefault uint64) uint64 {
	t.Helper()
	number, err := strconv.ParseUint(cmp.Or(os.Getenv(variable), strconv.FormatUint(byDefault, 10)), 10, 64)
	require.NoError(t, err, variable)
	return number
}

// party is an account. Its objects have a secret in their content and metadata, and one of them in its name.
type party struct {
	name, key, secret string
	minio.Core
	upload, part string   // an unfinished upload of the key a, and the ETag of its first part
	etags        []string // of its objects
}

func newParty(server *storagetest.Server, name string) *party {
	return &party{
		name: name, key: server.SecretKey(name), secret: "secret-of-" + name,
		Core: minio.Core{Client: server.Client(name)},
	}
}

type strangers struct {
	t               *testing.T
	server          *storagetest.Server
	http            *http.Client
	random          *rand.Rand
	thief, victim   *party
	honesty         int            // of the request in the making
	codes, accepted map[string]int // numbers of answers with a code, and of requests of an operation that were granted
}

// stock makes what an account has anew.
func (s *strangers) stock(p *party) {
	s.t.Helper()
	dir := filepath.Join(s.server.DataDir(), bucket)
	require.NoError(s.t, os.RemoveAll(filepath.Join(dir, p.name)))
	for name := range s.uploads(p.name) {
		require.NoError(s.t, os.RemoveAll(name))
	}
	ctx, secret := s.t.Context(), strings.NewReader(p.secret)
	options := minio.PutObjectOptions{UserMetadata: map[string]string{"note": p.secret}}
	p.etags = nil
	for _, key := range []string{"1", "a", "d/b", p.secret} {
		content := strings.NewReader(key + " " + p.secret)
		info, err := p.PutObject(ctx, bucket, p.name+"/"+key, content, content.Size(), "", "", options)
		require.NoError(s.t, err)
		p.etags = append(p.etags, info.ETag)
	}
	var err error
	p.upload, err = p.NewMultipartUpload(ctx, bucket, p.name+"/a", options)
	require.NoError(s.t, err)
	part, err := p.PutObjectPart(ctx, bucket, p.name+"/a", p.upload, 1, secret, secret.Size(),
		minio.PutObjectPartOptions{})
	require.NoError(s.t, err)
	p.part = part.ETag
	p.etags = append(p.etags, p.part)
}

// seenBy is all that an account can find out about what is its own.
func (s *strangers) seenBy(p *party) string {
	s.t.Helper()
	var seen strings.Builder
	all := minio.ListObjectsOptions{Prefix: p.name + "/", Recursive: true}
	for object := range p.Client.ListObjects(s.t.Context(), bucket, all) {
		require.NoError(s.t, object.Err)
		reader, info, _, err := p.GetObject(s.t.Context(), bucket, object.Key, minio.GetObjectOptions{})
		require.NoError(s.t, err, object.Key)
		content, err := io.ReadAll(reader)
		require.NoError(s.t, err, object.Key)
		require.NoError(s.t, reader.Close())
		fmt.Fprintf(&seen, "%s %s %s %s %v\n", object.Key, object.LastModified, object.ETag, content,
			info.UserMetadata)
	}
	uploads, err := p.ListMultipartUploads(s.t.Context(), bucket, p.name+"/", "", "", "", 1000)
	require.NoError(s.t, err)
	for _, upload := range uploads.Uploads {
		parts, err := p.ListObjectParts(s.t.Context(), bucket, upload.Key, upload.UploadID, 0, 1000)
		require.NoError(s.t, err, upload.Key)
		fmt.Fprintf(&seen, "%s %s %v\n", upload.Key, upload.UploadID, parts.ObjectParts)
	}
	return seen.String()
}

// heldBesides is all that is on the server's disk besides what an account has.
func (s *strangers) heldBesides(p *party) map[string]string {
	s.t.Helper()
	root := filepath.Dir(s.server.DataDir())
	temporary := filepath.Join(s.server.DataDir(), bucket, ".sgwtmp")
	own := maps.Collect(s.uploads(p.name))
	held := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case own[path], path == filepath.Join(s.server.DataDir(), bucket, p.name), entry.Name() == ".vgwlocks":
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
		held[path] = state
		return nil
	})
	require.NoError(s.t, err)
	return held
}

// uploads are the folders with unfinished uploads of keys that begin with an account's name.
func (s *strangers) uploads(account string) func(yield func(string, bool) bool) {
	return func(yield func(string, bool) bool) {
		folders, err := filepath.Glob(filepath.Join(s.server.DataDir(), bucket, ".sgwtmp/multipart/*"))
		require.NoError(s.t, err)
		for _, folder := range folders {
			key, err := xattr.LGet(folder, "user.objname")
			if err == nil && strings.HasPrefix(string(key), account+"/") && !yield(folder, true) {
				return
			}
		}
	}
}

// try sends a request of the thief's, and says what effect it had on what the victim holds.
func (s *strangers) try(held map[string]string) string {
	s.t.Helper()
	operation := pick(s, pick(s, operations, leading)...)
	request := s.request(operation)
	description := fmt.Sprintln(operation.name, "of", s.thief.name, request.Method, request.URL, request.Header)
	response, err := s.http.Do(request)
	require.NoError(s.t, err, description)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err, description)

	var answer struct{ Code, UploadId string }
	if err := xml.Unmarshal(body, &answer); err != nil && !errors.Is(err, io.EOF) {
		answer.Code = ""
	}
	s.codes[cmp.Or(answer.Code, strconv.Itoa(response.StatusCode))]++
	if response.StatusCode < 300 {
		s.accepted[operation.name]++
		if answer.UploadId != "" && operation.name == "CreateMultipartUpload" {
			s.thief.upload = answer.UploadId
		}
	}
	all := fmt.Sprint(response.Header, string(body))
	for _, secret := range append(s.victim.etags, s.victim.secret) {
		if strings.Contains(all, secret) {
			return fmt.Sprintf("%s was told %q: %s", description, secret, all)
		}
	}
	now := s.heldBesides(s.thief)
	if !maps.Equal(held, now) {
		return fmt.Sprintf("%s answered with %s, changed what is not its own:%s", description, response.Status,
			difference(held, now))
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
