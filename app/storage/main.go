// Storage is an S3 server with one bucket. An account may list, read, write and delete keys below its own
// prefix, which is its name and a slash, and nothing else. A key is a path without empty elements, "." and
// "..". A write survives a kill of the server, but may be lost if the machine fails: the server does not wait
// for the disk.
//
// Settings, all in the environment:
//
//	DATA_DIR      folder of the bucket, on a file system with extended attributes
//	BUCKET        name of the bucket (backups)
//	ACCOUNTS_DIR  folder with a file for each account: its name is the access key, its content the secret key,
//	              read again for every request
//	CERT_FILE     certificate of the server, in PEM
//	KEY_FILE      private key of that certificate, in PEM
//	PORT          port of S3 and of GET /livez, by HTTPS only (9000)
//	METRICS_PORT  port of GET /metrics, by HTTP (9090)
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/minio/minio-go/v7/pkg/s3utils"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
	"golang.org/x/sync/errgroup"

	"github.com/stateful-k3s/stateful-k3s/app/internal/gauges"
	"github.com/stateful-k3s/stateful-k3s/app/internal/service"
	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

const (
	// owner is an account that owns the bucket and may do everything. No file can have its name, and no client
	// knows its secret key.
	owner = "OWNER"

	// maxConnections of the S3 server is more than forward makes. Beyond it the server answers SlowDown.
	maxConnections = 2000
	// S3 allows this many parts of an upload, and this many bytes in one copy.
	maxParts = 10_000
	maxCopy  = 5 << 30
)

func main() {
	service.Main(run)
}

func run(ctx context.Context) error {
	paths, err := readPaths("DATA_DIR", "ACCOUNTS_DIR", "CERT_FILE", "KEY_FILE")
	if err != nil {
		return err
	}
	accounts, err := findAccounts(paths["ACCOUNTS_DIR"])
	if err != nil {
		return err
	}
	bucket := cmp.Or(os.Getenv("BUCKET"), "backups")
	store, err := openBucket(ctx, paths["DATA_DIR"], bucket, accounts.names)
	if err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(paths["CERT_FILE"], paths["KEY_FILE"])
	if err != nil {
		return fmt.Errorf("load CERT_FILE and KEY_FILE: %w", err)
	}
	prometheus.MustRegister(gauges.Volume("data", paths["DATA_DIR"]),
		gauges.Certificate("storage", paths["CERT_FILE"]))
	slog.Info("started", "bucket", bucket, "accounts", accounts.names)
	return serve(ctx, store, bucket, accounts, certificate)
}

// serve puts a server with time limits in front of the S3 server, which has none and listens on a Unix
// socket.
func serve(ctx context.Context, store *posix.Posix, bucket string, accounts *accounts,
	certificate tls.Certificate) error {
	socket := "@storage-" + rand.Text() // an abstract socket, not a file
	listening := make(chan struct{})
	// The S3 server stops last: it still answers the last requests of the server in front.
	s3Ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := embedgw.RunVersityGW(s3Ctx, store, &embedgw.Config{
			RootUserAccess:    owner,
			RootUserSecret:    rand.Text(),
			IAMService:        accounts,
			Ports:             []string{socket},
			MaxConnections:    maxConnections,
			MaxRequests:       maxConnections,
			MultipartMaxParts: maxParts,
			HealthPath:        "/livez",
			Quiet:             true,
			S3Options: []s3api.Option{
				s3api.WithMiddleware("/", logRequest),
				s3api.WithMiddleware("/", refuse(bucket)),
				s3api.WithOnListen(func() { close(listening) }),
			},
		})
		if err != nil {
			return fmt.Errorf("serve S3: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		defer stop()
		select {
		case <-listening:
		case <-ctx.Done():
			return nil
		}
		group.Go(func() error { return web.ServeMetrics(ctx, cmp.Or(os.Getenv("METRICS_PORT"), "9090")) })
		return service.ServeTLS(ctx, cmp.Or(os.Getenv("PORT"), "9000"), certificate, forward(socket))
	})
	return group.Wait()
}

// readPaths returns settings that are paths. They become absolute: the backend changes the working directory.
func readPaths(names ...string) (map[string]string, error) {
	paths := map[string]string{}
	for _, name := range names {
		value := os.Getenv(name)
		if value == "" {
			return nil, fmt.Errorf("%s is not set", name)
		}
		path, err := filepath.Abs(value)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", name, err)
		}
		paths[name] = path
	}
	return paths, nil
}

// openBucket makes the bucket if it is not there yet, and sets what the accounts may do with it.
func openBucket(ctx context.Context, dir, bucket string, accounts []string) (*posix.Posix, error) {
	if err := s3utils.CheckValidBucketNameStrict(bucket); err != nil {
		return nil, fmt.Errorf("BUCKET %q: %w", bucket, err)
	}
	if err := (meta.XattrMeta{}).Test(dir); err != nil {
		return nil, fmt.Errorf("DATA_DIR %s: %w; choose a folder on ext4, xfs or btrfs", dir, err)
	}
	// The usual ETag is an MD5, which costs more than the rest of an upload.
	store, err := posix.New(dir, meta.XattrMeta{},
		posix.PosixOpts{CopyObjectThreshold: maxCopy, DataIntegrityEtag: true})
	if err != nil {
		return nil, fmt.Errorf("open DATA_DIR: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, bucket), 0o750); err != nil {
		return nil, fmt.Errorf("make the bucket: %w; DATA_DIR has to be a folder that user %d can write", err,
			os.Getuid())
	}
	acl, err := json.Marshal(auth.ACL{Owner: owner})
	if err != nil {
		return nil, fmt.Errorf("encode the owner of the bucket: %w", err)
	}
	if err := store.PutBucketAcl(ctx, bucket, acl); err != nil {
		return nil, fmt.Errorf("set the owner of the bucket: %w", err)
	}
	policy, err := bucketPolicy(bucket, accounts)
	if err != nil {
		return nil, err
	}
	if err := store.PutBucketPolicy(ctx, bucket, policy); err != nil {
		return nil, fmt.Errorf("set the policy of the bucket: %w", err)
	}
	return store, nil
}
