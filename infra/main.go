// The Pulumi program: one page that shows all of the stack.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/backup"
	"github.com/stateful-k3s/stateful-k3s/infra/cluster"
	"github.com/stateful-k3s/stateful-k3s/infra/config"
	"github.com/stateful-k3s/stateful-k3s/infra/image"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/pingpong"
	"github.com/stateful-k3s/stateful-k3s/infra/postgres"
	"github.com/stateful-k3s/stateful-k3s/infra/redis"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
	"github.com/stateful-k3s/stateful-k3s/infra/todo"
	"github.com/stateful-k3s/stateful-k3s/infra/volumes"
)

// apps are the images, each a target of the Dockerfile.
var apps = []string{"backup", "daily-todo", "pingpong", "postgres-exporter", "redisfiller", "todo-backend",
	"todo-frontend"}

// archivingPostgres is the image of the servers, if they archive.
const archivingPostgres = "postgres"

// namespaces are the course's own names. Each has a database.
var namespaces = []string{"exercises", "project"}

// store is the image and the namespace of the storage server, which there only is if the backups do not go
// elsewhere.
const store = "storage"

func main() {
	if len(os.Args) > 1 && os.Args[1] == cluster.CredentialCommand {
		if err := cluster.Credential(context.Background(), os.Stdout, os.Stderr, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	pulumi.Run(stack(cluster.Requirements.Preflight, image.Lost))
}

// preflightFunc checks the cluster, and returns the kubeconfig by which Pulumi reaches it.
type preflightFunc func(cluster.Requirements, *pulumi.Context, cluster.Access) (pulumi.StringInput, error)

// stack is the program. It calls preflight before it declares anything, and lost to look at the registry.
func stack(preflight preflightFunc, lost look) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		cfg, err := config.Load(ctx)
		if err != nil {
			return err
		}
		last, err := volumes.Last(ctx)
		if err != nil {
			return err
		}
		kubeconfig, err := preflight(requirements(ctx, cfg, last), ctx, cfg.Cluster)
		if err != nil {
			return err
		}
		return program(ctx, cfg, kubeconfig, last, lost)
	}
}

// look returns the keys of those images that their registry has lost.
type look func(ctx context.Context, refs map[string]string, login authn.Authenticator) map[string]bool

// requirements are what the stack needs of its cluster.
func requirements(ctx *pulumi.Context, cfg *config.Config, last volumes.Outputs) cluster.Requirements {
	n := cluster.Requirements{Owner: kube.Owner(ctx), LastOwner: last.Volumes.Owner,
		StorageClass: cfg.StorageClass, DNSServers: cfg.DNSServers, Ingress: cfg.Ingress}
	for _, name := range places(cfg) {
		n.Namespaces = append(n.Namespaces, cfg.NamePrefix+name)
	}
	return n
}

// places are the stack's namespaces, by the course's own names.
func places(cfg *config.Config) []string {
	if cfg.S3 == nil {
		return append(slices.Clone(namespaces), store)
	}
	return namespaces
}

func program(ctx *pulumi.Context, cfg *config.Config, kubeconfig pulumi.StringInput, last volumes.Outputs,
	lost look) error {
	apps := apps
	if cfg.Archive.On {
		apps = append(apps, archivingPostgres)
	}
	if cfg.S3 == nil {
		apps = append(apps, store)
	}
	again, err := lostImages(ctx, cfg, last, lost)
	if err != nil {
		return err
	}
	images, err := buildImages(ctx, cfg, apps, again)
	if err != nil {
		return err
	}
	provider, err := kube.NewProvider(ctx, "k3s", kubeconfig)
	if err != nil {
		return err
	}
	inCluster := pulumi.Provider(provider)
	spaces, err := makeNamespaces(ctx, cfg, places(cfg), inCluster)
	if err != nil {
		return err
	}
	buckets, err := makeBuckets(ctx, cfg, images, spaces, inCluster)
	if err != nil {
		return err
	}

	train, err := redis.New(ctx, "redis", redis.Args{
		Namespace:       spaces["exercises"],
		Image:           cfg.Redis.Image,
		FillerImage:     images["redisfiller"],
		Password:        cfg.Redis.Password,
		PasswordVersion: cfg.Redis.PasswordVersion,
		SecretVersions:  cfg.SecretVersions["redis"],
		StorageClass:    cfg.StorageClass,
		StorageSize:     cfg.Redis.StorageSize,
		Memory:          cfg.Redis.Memory,
	}, inCluster)
	if err != nil {
		return err
	}

	backups := pulumi.StringMap{}
	newDatabase := func(name, namespace string) (postgres.Database, error) {
		server, err := newPostgres(ctx, name, spaces[namespace], buckets[namespace], images, cfg, inCluster)
		if err != nil {
			return postgres.Database{}, err
		}
		made, err := backup.New(ctx, name+"-backup", backup.Args{
			Namespace: spaces[namespace],
			Image:     images["backup"],
			Database:  server.Database,
			Bucket:    buckets[namespace],

			ArchivePassphrase: cfg.Archive.Passphrase,
			Restore:           cfg.Restore[name],
			Settings:          cfg.Backup,
		}, inCluster)
		if err != nil {
			return postgres.Database{}, err
		}
		backups[name] = made.Location
		return made.Database, nil
	}

	pings, err := newDatabase("pingpong", "exercises")
	if err != nil {
		return err
	}
	counter, err := pingpong.New(ctx, "pingpong", pingpong.Args{
		Namespace: spaces["exercises"],
		Image:     images["pingpong"],
		Replicas:  cfg.Pingpong.Replicas,
		Database:  pings,
		Ingress:   cfg.Ingress,
	}, inCluster)
	if err != nil {
		return err
	}

	todos, err := newDatabase("todo", "project")
	if err != nil {
		return err
	}
	project, err := todo.New(ctx, "todo", todo.Args{
		Namespace:        spaces["project"],
		BackendImage:     images["todo-backend"],
		FrontendImage:    images["todo-frontend"],
		DailyImage:       images["daily-todo"],
		BackendReplicas:  cfg.Todo.BackendReplicas,
		FrontendReplicas: cfg.Todo.FrontendReplicas,
		Database:         todos,
		AllowedOrigins:   cfg.Todo.AllowedOrigins,
		OwnOrigins:       cfg.Todo.OwnOrigins,
		Daily:            cfg.Todo.Daily,
		Ingress:          cfg.Ingress,
	}, inCluster)
	if err != nil {
		return err
	}

	names := map[string]string{}
	for name, space := range spaces {
		names[name] = space.Name
	}
	err = volumes.Export(ctx, last, volumes.Settings{
		Namespaces:   names,
		Owner:        kube.Owner(ctx),
		StorageClass: cfg.StorageClass,
		Sizes: map[string]string{
			"redisStorageSize": cfg.Redis.StorageSize, "postgresStorageSize": cfg.Postgres.StorageSize,
			"storageSize": cfg.Storage.Size,
		},
	})
	if err != nil {
		return err
	}
	ctx.Export("images", images)
	ctx.Export("redis", train.Addresses)
	ctx.Export("postgres", pulumi.StringMap{"pingpong": pings.Address, "todo": todos.Address})
	ctx.Export("backups", backups)
	ctx.Export("pingpong", counter.Address)
	ctx.Export("todoBackend", project.Backend)
	ctx.Export("todoFrontend", project.Frontend)
	if cfg.Ingress == nil {
		return ctx.Log.Info("Without an ingress nobody reaches the apps from outside. To see the page: "+
			"kubectl -n "+spaces["project"].Name+" port-forward service/todo-frontend-svc 8080:80", nil)
	}
	ctx.Export("pingpongUrl", counter.URL)
	ctx.Export("todoUrl", project.URL)
	return nil
}

func newPostgres(ctx *pulumi.Context, database string, space *kube.Namespace, bucket storage.Bucket,
	images pulumi.StringMap, cfg *config.Config, opts ...pulumi.ResourceOption) (*postgres.Postgres, error) {
	var serverImage pulumi.StringInput = pulumi.String(cfg.Postgres.Image)
	var archive *postgres.Archive
	if a := cfg.Archive; a.On {
		serverImage = images[archivingPostgres]
		archive = &postgres.Archive{Bucket: bucket, Timeout: a.Timeout, KeepDays: a.KeepDays,
			Passphrase: a.Passphrase}
	}
	return postgres.New(ctx, database+"-postgres", postgres.Args{
		Namespace:       space,
		Image:           serverImage,
		Archive:         archive,
		ExporterImage:   images["postgres-exporter"],
		Database:        database,
		Password:        cfg.Postgres.Passwords[database],
		ReaderPassword:  cfg.Postgres.ReaderPasswords[database],
		PasswordVersion: cfg.Postgres.PasswordVersion,
		TLSVersion:      cfg.Postgres.TLSVersion,
		SecretVersions:  cfg.SecretVersions[database],
		StorageClass:    cfg.StorageClass,
		StorageSize:     cfg.Postgres.StorageSize,
		Memory:          cfg.Postgres.Memory,
		Parameters:      cfg.Postgres.Parameters,
	}, opts...)
}

// makeBuckets returns what each namespace with a database keeps its backups in.
func makeBuckets(ctx *pulumi.Context, cfg *config.Config, images pulumi.StringMap,
	spaces map[string]*kube.Namespace, opts ...pulumi.ResourceOption) (map[string]storage.Bucket, error) {
	buckets := map[string]storage.Bucket{}
	if cfg.S3 != nil {
		for _, name := range namespaces {
			buckets[name] = *cfg.S3
		}
		return buckets, nil
	}
	var accounts []string
	versions := maps.Clone(cfg.SecretVersions[store])
	for _, name := range namespaces {
		account := spaces[name].Name
		accounts = append(accounts, account)
		if version, set := versions[name+"-key"]; set {
			delete(versions, name+"-key")
			versions[account+"-key"] = version
		}
	}
	server, err := storage.New(ctx, store, storage.Args{
		Namespace:      spaces[store],
		Image:          images[store],
		Accounts:       accounts,
		KeysVersion:    cfg.Storage.KeysVersion,
		TLSVersion:     cfg.Storage.TLSVersion,
		SecretVersions: versions,
		StorageClass:   cfg.StorageClass,
		StorageSize:    cfg.Storage.Size,
		Memory:         cfg.Storage.Memory,
	}, opts...)
	if err != nil {
		return nil, err
	}
	for _, name := range namespaces {
		buckets[name] = server.Bucket(spaces[name].Name)
	}
	return buckets, nil
}

// lostImages are those of apps that the last up has pushed, and the registry has lost since.
func lostImages(ctx *pulumi.Context, cfg *config.Config, last volumes.Outputs, look look) (map[string]bool,
	error) {
	pushed := maps.Clone(last.Images)
	maps.DeleteFunc(pushed, func(_, ref string) bool { return !strings.HasPrefix(ref, cfg.Registry.Path+"/") })
	lost := look(ctx.Context(), pushed, cfg.Registry.Auth)
	if len(lost) == 0 {
		return nil, nil
	}
	return lost, ctx.Log.Info(fmt.Sprintf(
		"The registry has lost images, which are built again, since no new pod could start without: %s.",
		strings.Join(slices.Sorted(maps.Keys(lost)), ", ")), nil)
}

func buildImages(ctx *pulumi.Context, cfg *config.Config, apps []string,
	again map[string]bool) (pulumi.StringMap, error) {
	ofServer := map[string]string{"POSTGRES_IMAGE": cfg.Postgres.Image}
	buildArgs := map[string]map[string]string{"backup": ofServer, archivingPostgres: ofServer}
	refs := pulumi.StringMap{}
	for _, app := range apps {
		ref, err := image.New(ctx, app, image.Args{
			Registry:  cfg.Registry.Path,
			BuildArgs: buildArgs[app],
			Tag:       ctx.Stack(),
			Username:  cfg.Registry.Push.Username,
			Password:  cfg.Registry.Push.Password,
			Builder:   cfg.Builder,
			Again:     again[app],
		})
		if err != nil {
			return nil, err
		}
		refs[app] = ref
	}
	return refs, nil
}

func makeNamespaces(ctx *pulumi.Context, cfg *config.Config, names []string,
	opts ...pulumi.ResourceOption) (map[string]*kube.Namespace, error) {
	spaces := map[string]*kube.Namespace{}
	for _, name := range names {
		args := kube.NamespaceArgs{Name: cfg.NamePrefix + name, DNSServers: cfg.DNSServers}
		if pull := cfg.Registry.Pull; pull.Username != "" {
			args.Login = &kube.RegistryLogin{Server: cfg.Registry.Host, Username: pull.Username,
				Password: pull.Password}
		}
		space, err := kube.NewNamespace(ctx, name, args, opts...)
		if err != nil {
			return nil, err
		}
		spaces[name] = space
	}
	return spaces, nil
}
