// Package kubetest declares a database and a storage server for tests of components that depend on them.
package kubetest

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// NewDatabase declares a namespace and in it the Postgres "db", with a database named after the app.
func NewDatabase(ctx *pulumi.Context, namespace, app string) (*kube.Namespace, server.Server, error) {
	ns, err := kube.NewNamespace(ctx, namespace, kube.NamespaceArgs{Name: "alice-" + namespace})
	if err != nil {
		return nil, server.Server{}, err
	}
	db, err := statefulset.New(ctx, "db", statefulset.Args{
		Namespace:     ns,
		Image:         pulumi.String("postgres:17"),
		ExporterImage: pulumi.String("exporter"),
		Database:      app,
		Settings:      statefulset.Settings{Password: pulumi.String("correct-horse"), StorageClass: "local-path"},
	})
	if err != nil {
		return nil, server.Server{}, err
	}
	return ns, db.Server, nil
}

// NewStorage declares a namespace and in it the storage server "store", with one account.
func NewStorage(ctx *pulumi.Context, account string) (*storage.Storage, error) {
	ns, err := kube.NewNamespace(ctx, "storage", kube.NamespaceArgs{Name: "alice-storage"})
	if err != nil {
		return nil, err
	}
	return storage.New(ctx, "store", storage.Args{
		Namespace:    ns,
		Image:        pulumi.String("storage"),
		Accounts:     []string{account},
		StorageClass: "local-path",
	})
}
