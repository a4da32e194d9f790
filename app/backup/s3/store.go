// Package s3 keeps backups in a bucket.
package s3

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/settings"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

const (
	dumpKey     = "dump"
	manifestKey = "manifest.json"
	lastRunKey  = "last-run.json"
	// A dump is sent in parts of this size. Two of them are in memory. S3 takes 10,000 parts of an object, so a
	// dump has at most 156 GiB.
	partSize, partsInMemory = 16 << 20, 2
	// responseTimeout includes the time in which a server assembles a large object.
	responseTimeout = 5 * time.Minute
	maxManifest     = 64 << 20 // in bytes
	// millennium starts the names of backups. So the store lists nothing of the long archive beside them.
	millennium = "2"
)

// ErrNone says that a backup does not exist: it has no manifest.
var ErrNone = errors.New("there is no such backup")

// ErrDamaged says that a stored object has changed.
var ErrDamaged = errors.New("damaged")

// Store keeps the backups of one database.
type Store struct {
	client         *minio.Client
	bucket, prefix string
}

// Open returns a store that connects on first use.
func Open(b settings.Bucket) (*Store, error) {
	transport, err := minio.DefaultTransport(b.Endpoint.Scheme == "https")
	if err != nil {
		return nil, err
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: b.Authorities, MinVersion: tls.VersionTLS12}
	transport.ResponseHeaderTimeout = responseTimeout
	lookup := minio.BucketLookupDNS
	if b.PathStyle {
		lookup = minio.BucketLookupPath
	}
	client, err := minio.New(b.Endpoint.Host, &minio.Options{
		Creds:           credentials.NewStaticV4(b.AccessKey, b.SecretKey, ""),
		Secure:          b.Endpoint.Scheme == "https",
		Region:          b.Region,
		BucketLookup:    lookup,
		Transport:       transport,
		TrailingHeaders: true,
	})
	if err != nil {
		return nil, fmt.Errorf("read the store's address: %w", err)
	}
	return &Store{client, b.Name, b.Prefix}, nil
}

// IsRefusal tells whether a retry would get the same answer.
func IsRefusal(err error) bool {
	code := answer(err).StatusCode
	return code == http.StatusForbidden || code == http.StatusUnauthorized || code == http.StatusNotFound
}

// MayBeFull tells whether a store may be out of room. Most stores answer with an internal error.
func MayBeFull(err error) bool {
	response := answer(err)
	full := []string{"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "AccountProblem"}
	return response.StatusCode == http.StatusInternalServerError ||
		response.StatusCode == http.StatusInsufficientStorage || slices.Contains(full, response.Code)
}

// answer returns the response in an error; zero if there is none.
func answer(err error) (response minio.ErrorResponse) {
	errors.As(err, &response)
	return response
}

// WriteDump streams a dump into the store. If reading it fails, it stores nothing.
func (s *Store) WriteDump(ctx context.Context, name string, dump io.Reader) error {
	_, err := s.client.PutObject(ctx, s.bucket, s.key(name, dumpKey), dump, -1, minio.PutObjectOptions{
		PartSize: partSize, NumThreads: partsInMemory, ConcurrentStreamParts: true,
		Checksum: minio.ChecksumCRC32C, ContentType: "application/octet-stream",
	})
	return err
}

// ReadDump reads a stored dump.
func (s *Store) ReadDump(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.client.GetObject(ctx, s.bucket, s.key(name, dumpKey), minio.GetObjectOptions{})
}

// DumpSize returns the size of a stored dump in bytes.
func (s *Store) DumpSize(ctx context.Context, name string) (int64, error) {
	info, err := s.client.StatObject(ctx, s.bucket, s.key(name, dumpKey), minio.StatObjectOptions{})
	return info.Size, err
}

// WriteManifest makes what is stored under the manifest's name a backup.
func (s *Store) WriteManifest(ctx context.Context, m manifest.Manifest) error {
	content, err := m.Encode()
	if err != nil {
		return err
	}
	return s.write(ctx, s.key(m.Name, manifestKey), content)
}

// ReadManifest returns the manifest of a backup, ErrNone if there is none, and ErrDamaged if it was changed.
func (s *Store) ReadManifest(ctx context.Context, name string) (manifest.Manifest, error) {
	content, err := s.read(ctx, s.key(name, manifestKey))
	if answer(err).Code == minio.NoSuchKey {
		return manifest.Manifest{}, fmt.Errorf("%s: %w", name, ErrNone)
	}
	if err != nil {
		return manifest.Manifest{}, err
	}
	m, err := manifest.Decode(content, name)
	if err != nil {
		return m, fmt.Errorf("the manifest of %s is %w: %w", name, ErrDamaged, err)
	}
	return m, nil
}

// Run says how a run ended.
type Run struct {
	Ended time.Time `json:"ended"`
	// Backup is the name of the backup that it made, if any.
	Backup string `json:"backup,omitempty"`
	// Error says why it made none.
	Error string `json:"error,omitempty"`
}

// WriteLastRun replaces the record of the last run.
func (s *Store) WriteLastRun(ctx context.Context, run Run) error {
	content, err := json.Marshal(run)
	if err != nil {
		return err
	}
	return s.write(ctx, s.key(lastRunKey), content)
}

// LastRun returns how the last run ended; zero if there was none.
func (s *Store) LastRun(ctx context.Context) (run Run, err error) {
	content, err := s.read(ctx, s.key(lastRunKey))
	if answer(err).Code == minio.NoSuchKey {
		return run, nil
	}
	if err != nil {
		return run, err
	}
	return run, json.Unmarshal(content, &run)
}

// RequestRestore records that a restore was requested, so that nothing that it may need is deleted.
func (s *Store) RequestRestore(ctx context.Context, what string) error {
	content, err := json.Marshal(map[string]string{"restore": what})
	if err != nil {
		return err
	}
	return s.write(ctx, s.key(pgbackrest.RestoreRequested), content)
}

// RestoreRequested returns when the pending restore was requested, by the store's clock; zero if none is.
func (s *Store) RestoreRequested(ctx context.Context) (time.Time, error) {
	info, err := s.client.StatObject(ctx, s.bucket, s.key(pgbackrest.RestoreRequested),
		minio.StatObjectOptions{})
	if answer(err).Code == minio.NoSuchKey {
		return time.Time{}, nil
	}
	return info.LastModified, err
}

// RestoreDone removes the record of RequestRestore.
func (s *Store) RestoreDone(ctx context.Context) error {
	return s.client.RemoveObject(ctx, s.bucket, s.key(pgbackrest.RestoreRequested), minio.RemoveObjectOptions{})
}

// Names returns the names of all backups, oldest first.
func (s *Store) Names(ctx context.Context) ([]string, error) {
	folders, err := s.folders(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(folders))
	return slices.DeleteFunc(names, func(name string) bool { return !folders[name].finished }), nil
}

// Delete removes a backup: its manifest first, so that half of one never counts as a backup.
func (s *Store) Delete(ctx context.Context, name string) error {
	for _, key := range []string{manifestKey, dumpKey} {
		if err := s.client.RemoveObject(ctx, s.bucket, s.key(name, key), minio.RemoveObjectOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// Sweep removes dumps without a manifest and unfinished uploads older than that time, by the store's clock,
// and returns their names.
func (s *Store) Sweep(ctx context.Context, before time.Time) ([]string, error) {
	folders, err := s.folders(ctx)
	if err != nil {
		return nil, err
	}
	var swept []string
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		if folder := folders[name]; !folder.finished && folder.changed.Before(before) {
			if err := s.Delete(ctx, name); err != nil {
				return swept, err
			}
			swept = append(swept, name)
		}
	}
	for upload := range s.client.ListIncompleteUploads(ctx, s.bucket, s.prefix+"/", true) {
		if upload.Err != nil {
			return swept, upload.Err
		}
		if !upload.Initiated.Before(before) {
			continue
		}
		if err := (minio.Core{Client: s.client}).AbortMultipartUpload(ctx, s.bucket, upload.Key,
			upload.UploadID); err != nil {
			return swept, err
		}
		swept = append(swept, path.Base(path.Dir(upload.Key)))
	}
	return swept, nil
}

// folder is what is stored under the name of a backup.
type folder struct {
	finished bool
	changed  time.Time
}

func (s *Store) folders(ctx context.Context) (map[string]folder, error) {
	folders := map[string]folder{}
	options := minio.ListObjectsOptions{Prefix: s.key(millennium), Recursive: true}
	for object := range s.client.ListObjects(ctx, s.bucket, options) {
		if object.Err != nil {
			return nil, object.Err
		}
		name, key, _ := strings.Cut(strings.TrimPrefix(object.Key, s.prefix+"/"), "/")
		if !restorepoint.IsBackup(name) {
			continue // not ours
		}
		f := folders[name]
		f.finished = f.finished || key == manifestKey
		if object.LastModified.After(f.changed) {
			f.changed = object.LastModified
		}
		folders[name] = f
	}
	return folders, nil
}

func (s *Store) key(parts ...string) string {
	return path.Join(append([]string{s.prefix}, parts...)...)
}

func (s *Store) write(ctx context.Context, key string, content []byte) error {
	options := minio.PutObjectOptions{Checksum: minio.ChecksumCRC32C, ContentType: "application/json",
		DisableMultipart: true}
	_, err := s.client.PutObject(ctx, s.bucket, key, bytes.NewReader(content), int64(len(content)), options)
	return err
}

func (s *Store) read(ctx context.Context, key string) ([]byte, error) {
	object, err := s.client.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer object.Close()
	content, err := io.ReadAll(io.LimitReader(object, maxManifest+1))
	if err == nil && len(content) > maxManifest {
		err = fmt.Errorf("%s has more than %d bytes", key, maxManifest)
	}
	return content, err
}
