package s3

import (
	"context"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/stateful-k3s/stateful-k3s/app/internal/pgbackrest"
)

// Archive lists the files of the archives beside the backups.
func (s *Store) Archive(ctx context.Context) (objects []pgbackrest.Object, err error) {
	for _, folder := range []string{pgbackrest.Folder, pgbackrest.PluginFolder} {
		options := minio.ListObjectsOptions{Prefix: s.key(folder) + "/", Recursive: true}
		for object := range s.client.ListObjects(ctx, s.bucket, options) {
			if object.Err != nil {
				return nil, object.Err
			}
			objects = append(objects, pgbackrest.Object{Path: strings.TrimPrefix(object.Key, s.key("")+"/"),
				Size: object.Size, Stored: object.LastModified})
		}
	}
	return objects, nil
}
