// Package statefulset runs a Postgres server in a pod of a StatefulSet, and gives other pods what they need
// to log in to it.
package statefulset

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// names are the names of the server's objects. app is also the label of its pods.
type names struct{ app, statefulSet, service, secret, clientSecret, config, archive string }

func newNames(prefix string) names {
	app := prefix + "postgres"
	return names{app: app, statefulSet: app + "-ss", service: app + "-svc", secret: app,
		clientSecret: app + "-client", config: app + "-config", archive: app + "-archive"}
}

var (
	//go:embed pg_hba.conf
	hba string
	//go:embed setup.sh
	setup string
	//go:embed roles.sql
	roles string
)

// Settings are what users choose. Only StorageClass is required.
type Settings struct {
	// Password is the owner's, ReaderPassword the reader's: printable ASCII, or nil for generated ones.
	Password, ReaderPassword pulumi.StringInput
	// SecretVersions replace Secrets, and the Salt.
	SecretVersions kube.Versions
	// StorageSize is a Kubernetes quantity, 1Gi by default.
	StorageClass, StorageSize string
	// Memory is the server's limit, a Kubernetes quantity, 512Mi by default.
	Memory string
	// Parameters win over the ones that depend on Memory and StorageSize.
	Parameters Parameters
	// Extensions are created in the database. The image has them.
	Extensions []string
}

// Args describes the server. Prefix, Clients and Archive are optional.
type Args struct {
	Namespace *kube.Namespace
	// Prefix precedes the names of the server's objects. Servers of one namespace need different ones.
	Prefix string
	// Image is the Debian variant of the official image postgres, 17 or newer. ExporterImage has
	// postgres_exporter.
	Image, ExporterImage pulumi.StringInput
	// Database is the name of the database, and of the role that owns it.
	Database string
	// Clients may connect to the server, in addition to pods that components allow by kube.Allow. Without any,
	// they are the pods of the namespace with the label postgres-client: "true".
	Clients []kube.Pods
	// Archive is nil for none.
	Archive *Archive
	Version Version
	Settings
}

// AllowClients lets the clients connect to the pods.
func (a *Args) AllowClients(ctx *pulumi.Context, name string, pods kube.Pods,
	parent pulumi.ResourceOption) error {
	for i, client := range a.clients() {
		suffix := ""
		if i > 0 {
			suffix = fmt.Sprint("-", i+1)
		}
		err := kube.AllowClients(ctx, name+"-client"+suffix, kube.Connection{
			From: client, To: pods, Port: server.Port, Why: "may use the database, as its label says",
		}, parent)
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *Args) clients() []kube.Pods {
	if len(a.Clients) > 0 {
		return a.Clients
	}
	return []kube.Pods{{Namespace: a.Namespace, Labels: map[string]string{"postgres-client": "true"}}}
}

// Server is the component.
type Server struct {
	pulumi.ResourceState
	server.Server
	// Claim is the server's volume, as NAMESPACE/CLAIM.
	Claim string
}

// New declares the server and what it needs.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Server, error) {
	conf, err := args.check()
	if err != nil {
		return nil, fmt.Errorf("postgres %s: %w", name, err)
	}
	s := &Server{Server: server.Server{Database: args.Database, Pods: kube.Pods{
		Namespace: args.Namespace, Labels: map[string]string{"app": newNames(args.Prefix).app},
	}}}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	err = ctx.RegisterComponentResourceV2("stateful-k3s:statefulset:Server", name, inputs, s, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring postgres %s: %w", name, err)
	}
	if err := s.declare(ctx, name, args, conf); err != nil {
		return nil, fmt.Errorf("postgres %s: %w", name, err)
	}
	return s, nil
}

func (s *Server) declare(ctx *pulumi.Context, name string, args Args, conf string) error {
	ns, names := args.Namespace, newNames(args.Prefix)
	parent := pulumi.Parent(s)

	creds, err := NewCredentials(ctx, name, args, parent)
	if err != nil {
		return err
	}
	s.Owner, s.Reader, s.Restorer = creds.Owner, creds.Reader, creds.Restorer
	settings, digest, err := kube.NewConfigMap(ctx, name+"-config", kube.ConfigMapArgs{
		Namespace: ns, App: names.app, Name: names.config,
		Files: []kube.File{{Name: "postgresql.conf", Content: conf}, {Name: "pg_hba.conf", Content: hba},
			{Name: "setup.sh", Content: setup}, {Name: "roles.sql", Content: roles}},
	}, parent)
	if err != nil {
		return err
	}
	if err := args.AllowClients(ctx, name, s.Pods, parent); err != nil {
		return err
	}
	svc, err := kube.HeadlessService{
		App: names.app, Name: names.service, Pods: s.Pods, Port: server.Port, PortName: "postgres", NotReady: true,
	}.Declare(ctx, name+"-service", parent)
	if err != nil {
		return err
	}

	after := []pulumi.ResourceOption{parent, args.Version.timeout(),
		pulumi.DependsOn([]pulumi.Resource{svc, creds.secret, settings})}
	var archive *storage.Client
	if args.Archive != nil {
		if archive, err = args.Archive.declare(ctx, name, names, s.Pods, parent); err != nil {
			return err
		}
		after = append(after, archive.Ready())
	}
	if rehearse := args.Version.Rehearse; rehearse != nil {
		rehearsed, err := rehearse(s.Server, rehearsalOf(args))
		if err != nil {
			return err
		}
		after = append(after, pulumi.DependsOn([]pulumi.Resource{rehearsed}))
	}
	declared, err := kube.StatefulSet{
		Namespace:   ns,
		Name:        names.statefulSet,
		Service:     names.service,
		Replicas:    1,
		Annotations: args.Version.annotations(),
		Pod: kube.Pod{
			App:     names.app,
			Labels:  s.Pods.Labels,
			FSGroup: server.User,

			MetricsPort: server.MetricsPort,
			RestartOn: pulumi.StringMap{
				"stateful-k3s/postgres-config": digest,
				"stateful-k3s/postgres-secret": creds.digest,
			},
			Spec: podSpec(args, archive),
		},
		Claim: args.Version.marked(
			kube.Claim(names.app, args.Version.Template, args.StorageClass, args.StorageSize)),
	}.Declare(ctx, name+"-statefulset", after...)
	if err != nil {
		return err
	}
	s.Server = s.After(declared)
	s.Claim = ns.Name + "/" + kube.ClaimNames(args.Version.Template, names.statefulSet, 1)[0]
	s.Address = pulumi.String(fmt.Sprintf("%s.%s.svc:%d", names.service, ns.Name, server.Port)).ToStringOutput()
	return ctx.RegisterResourceOutputs(s, pulumi.Map{"address": s.Address})
}

// check sets defaults, validates the arguments, and returns the server's configuration file.
func (a *Args) check() (string, error) {
	required := map[string]bool{
		"Namespace": a.Namespace != nil, "Image": a.Image != nil, "ExporterImage": a.ExporterImage != nil,
		"Database": a.Database != "", "StorageClass": a.StorageClass != "",
	}
	maps.Copy(required, a.Archive.required())
	if err := kube.Missing(required); err != nil {
		return "", err
	}
	if err := a.Complete(); err != nil {
		return "", err
	}
	return a.serverConfig()
}

// Complete sets defaults, and checks the names of the database and its role.
func (a *Args) Complete() error {
	a.Version.Template = cmp.Or(a.Version.Template, FirstTemplate)
	a.StorageSize, a.Memory = cmp.Or(a.StorageSize, "1Gi"), cmp.Or(a.Memory, "512Mi")
	reserved := []string{"postgres", "template0", "template1",
		server.ReaderRole, server.RestorerRole, server.ExporterRole}
	if !databaseName.MatchString(a.Database) {
		return fmt.Errorf("database %q is not 1 to 63 small letters, digits and underscores, "+
			"with a letter at its start", a.Database)
	}
	if slices.Contains(reserved, a.Database) || strings.HasPrefix(a.Database, "pg_") {
		return fmt.Errorf("database %q is a name that has a meaning already", a.Database)
	}
	return nil
}

var databaseName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
