package main

import (
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// newDatabase returns the backups of a database. Their Database is ready once it is restored.
func (s *stack) newDatabase(name, namespace string) (*backup.Backup, error) {
	server, err := s.newPostgres(name, namespace)
	if err != nil {
		return nil, err
	}
	return backup.New(s.ctx, name+"-backup", backup.Args{
		Namespace:         s.namespaces[namespace],
		Image:             s.images["backup"],
		Database:          server.Database,
		Bucket:            s.buckets[namespace],
		ArchivePassphrase: s.cfg.Archive.Passphrase,
		Restore:           s.cfg.Restore[name],
		Settings:          s.cfg.Backup,
	}, s.inCluster)
}

func (s *stack) newPostgres(name, namespace string) (*postgres.Postgres, error) {
	var image pulumi.StringInput = pulumi.String(s.cfg.Postgres.Image)
	var archive *postgres.Archive
	if settings := s.cfg.Archive; settings.On {
		image = s.images[archivingPostgres]
		archive = &postgres.Archive{
			Bucket:     s.buckets[namespace],
			Timeout:    settings.Timeout,
			KeepDays:   settings.KeepDays,
			Passphrase: settings.Passphrase,
		}
	}
	return postgres.New(s.ctx, name+"-postgres", postgres.Args{
		Namespace:       s.namespaces[namespace],
		Image:           image,
		Archive:         archive,
		ExporterImage:   s.images["postgres-exporter"],
		Database:        name,
		Password:        s.cfg.Postgres.Passwords[name],
		ReaderPassword:  s.cfg.Postgres.ReaderPasswords[name],
		PasswordVersion: s.cfg.Postgres.PasswordVersion,
		TLSVersion:      s.cfg.Postgres.TLSVersion,
		SecretVersions:  s.cfg.SecretVersions[name],
		StorageClass:    s.cfg.StorageClass,
		StorageSize:     s.cfg.Postgres.StorageSize,
		Memory:          s.cfg.Postgres.Memory,
		Parameters:      s.cfg.Postgres.Parameters,
	}, s.inCluster)
}

// newBuckets returns the bucket of each namespace with a database. Without s3Endpoint it is the bucket of a
// storage server, with an account for each namespace.
func (s *stack) newBuckets() (map[string]storage.Bucket, error) {
	buckets := map[string]storage.Bucket{}
	if s.cfg.S3 != nil {
		for _, name := range databaseNamespaces {
			buckets[name] = *s.cfg.S3
		}
		return buckets, nil
	}
	var accounts []string
	versions := maps.Clone(s.cfg.SecretVersions["storage"])
	for _, name := range databaseNamespaces {
		account := s.namespaces[name].Name
		accounts = append(accounts, account)
		if version, set := versions[name+"-key"]; set {
			delete(versions, name+"-key")
			versions[account+"-key"] = version
		}
	}
	server, err := storage.New(s.ctx, "storage", storage.Args{
		Namespace:      s.namespaces[storageNamespace],
		Image:          s.images[storageImage],
		Accounts:       accounts,
		KeysVersion:    s.cfg.Storage.KeysVersion,
		TLSVersion:     s.cfg.Storage.TLSVersion,
		SecretVersions: versions,
		StorageClass:   s.cfg.StorageClass,
		StorageSize:    s.cfg.Storage.Size,
		Memory:         s.cfg.Storage.Memory,
	}, s.inCluster)
	if err != nil {
		return nil, err
	}
	for _, name := range databaseNamespaces {
		buckets[name] = server.Bucket(s.namespaces[name].Name)
	}
	return buckets, nil
}
