// Package postgres runs a Postgres server in a pod, and gives other pods what they need to log in to it.
package postgres

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/storage"
)

// Port is the server's port.
const Port = 5432

const (
	app         = "postgres"
	statefulSet = "postgres-ss"
	service     = "postgres-svc"
	secret      = "postgres"
	config      = "postgres-config"
	claim       = "data"

	// Roles in addition to the superuser and the owner, which has the database's name.
	readerRole   = "reader"
	restorerRole = "restorer"
	exporterRole = "exporter"
)

var (
	//go:embed pg_hba.conf
	hba string
	//go:embed setup.sh
	setup string
	//go:embed roles.sql
	roles string
)

// Args describes the server. All but Password, ReaderPassword, SecretVersions, Archive and Parameters is
// required.
type Args struct {
	Namespace *kube.Namespace
	// Image is the Debian variant of the official image postgres, 17 or newer. ExporterImage has
	// postgres_exporter.
	Image, ExporterImage pulumi.StringInput
	// Database is the name of the database, and of the role that owns it.
	Database string
	// Password is the owner's, ReaderPassword the reader's: printable ASCII, or nil for generated ones.
	Password, ReaderPassword pulumi.StringInput
	// PasswordVersion is any text. Another one makes new generated passwords.
	PasswordVersion string
	// TLSVersion is any text. Another one makes a new certificate of a new authority.
	TLSVersion string
	// SecretVersions replace single Secrets.
	SecretVersions kube.Versions
	// StorageSize is a Kubernetes quantity.
	StorageClass, StorageSize string
	// Memory is the server's limit, a Kubernetes quantity.
	Memory string
	// Archive is nil for none.
	Archive *Archive
	// Parameters win over the ones that depend on Memory and StorageSize.
	Parameters Parameters
}

// Postgres is the component.
type Postgres struct {
	pulumi.ResourceState
	Database
}

// Database is what other components need to use the server's database.
type Database struct {
	// Name is the name of the database.
	Name string
	// Address is host:port of the server inside the cluster.
	Address pulumi.StringOutput
	// Pods run the server. No pod connects to their Port until a kube.Connection allows it.
	Pods kube.Pods
	// Owner logs in as the role that owns the database, Reader as a role that can read all of it, Restorer as a
	// superuser.
	Owner, Reader, Restorer Client

	ready []pulumi.Resource
}

// Ready makes a resource wait until the server answers. To depend on the component itself is not enough:
// Pulumi leaves out children that are still being registered.
func (d Database) Ready() pulumi.ResourceOption {
	return pulumi.DependsOn(d.ready)
}

// After returns the same database with a Ready that also waits for r, such as the Job that restores it.
func (d Database) After(r pulumi.Resource) Database {
	d.ready = append(slices.Clip(d.ready), r)
	return d
}

// New declares the server and what it needs.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Postgres, error) {
	conf, err := args.check()
	if err != nil {
		return nil, fmt.Errorf("postgres %s: %w", name, err)
	}
	p := &Postgres{Database: Database{Name: args.Database,
		Pods: kube.Pods{Namespace: args.Namespace, Labels: map[string]string{"app": "postgres"}}}}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	err = ctx.RegisterComponentResourceV2("stateful-k3s:postgres:Postgres", name, inputs, p, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring postgres %s: %w", name, err)
	}
	if err := p.declare(ctx, name, args, conf); err != nil {
		return nil, fmt.Errorf("postgres %s: %w", name, err)
	}
	return p, nil
}

func (p *Postgres) declare(ctx *pulumi.Context, name string, args Args, conf string) error {
	ns := args.Namespace
	parent := pulumi.Parent(p)

	creds, err := newCredentials(ctx, name, args, parent)
	if err != nil {
		return err
	}
	p.Owner, p.Reader, p.Restorer = creds.owner, creds.reader, creds.restorer
	files := []struct{ name, content string }{
		{"postgresql.conf", conf}, {"pg_hba.conf", hba}, {"setup.sh", setup}, {"roles.sql", roles},
	}
	data, digest := pulumi.StringMap{}, sha256.New()
	for _, file := range files {
		data[file.name] = pulumi.String(file.content)
		digest.Write([]byte(file.content))
	}
	settings, err := corev1.NewConfigMap(ctx, name+"-config", &corev1.ConfigMapArgs{
		Metadata: ns.Meta(app, config, nil),
		Data:     data,
	}, parent, ns.Ready())
	if err != nil {
		return fmt.Errorf("declaring config map %s: %w", config, err)
	}
	err = kube.Allow(ctx, name+"-client", kube.Connection{
		From: kube.Pods{Namespace: ns, Labels: map[string]string{"postgres-client": "true"}},
		To:   p.Pods,
		Port: Port,
		Why:  "may use the database, as its label says",
	}, parent)
	if err != nil {
		return err
	}
	svc, err := kube.HeadlessService{
		App: app, Name: service, Pods: p.Pods, Port: Port, PortName: "postgres", NotReady: true,
	}.Declare(ctx, name+"-service", parent)
	if err != nil {
		return err
	}

	after := []pulumi.ResourceOption{parent, pulumi.DependsOn([]pulumi.Resource{svc, creds.secret, settings})}
	var archive *storage.Client
	if args.Archive != nil {
		if archive, err = args.Archive.declare(ctx, name, p.Pods, parent); err != nil {
			return err
		}
		after = append(after, archive.Ready())
	}
	server, err := kube.StatefulSet{
		Namespace: ns,
		Name:      statefulSet,
		Service:   service,
		Replicas:  1,
		Pod: kube.Pod{
			App:     app,
			Labels:  p.Pods.Labels,
			FSGroup: user,
			RestartOn: pulumi.StringMap{
				"stateful-k3s/postgres-config": pulumi.String(hex.EncodeToString(digest.Sum(nil)[:4])),
				"stateful-k3s/postgres-secret": creds.digest,
			},
			Spec: podSpec(args, archive),
		},
		Claim: kube.Claim(app, claim, args.StorageClass, args.StorageSize),
	}.Declare(ctx, name+"-statefulset", after...)
	if err != nil {
		return err
	}
	p.ready = []pulumi.Resource{server}

	p.Address = pulumi.String(fmt.Sprintf("%s.%s.svc:%d", service, ns.Name, Port)).ToStringOutput()
	return ctx.RegisterResourceOutputs(p, pulumi.Map{"address": p.Address})
}

// check validates the arguments, and returns the server's configuration file.
func (a *Args) check() (string, error) {
	required := map[string]bool{
		"Namespace": a.Namespace != nil, "Image": a.Image != nil, "ExporterImage": a.ExporterImage != nil,
		"Database":        a.Database != "",
		"PasswordVersion": a.PasswordVersion != "", "TLSVersion": a.TLSVersion != "",
		"StorageClass": a.StorageClass != "", "StorageSize": a.StorageSize != "", "Memory": a.Memory != "",
	}
	maps.Copy(required, a.Archive.required())
	if err := kube.Missing(required); err != nil {
		return "", err
	}
	reserved := []string{"postgres", "template0", "template1", readerRole, restorerRole, exporterRole}
	if !databaseName.MatchString(a.Database) {
		return "", fmt.Errorf("database %q is not 1 to 63 small letters, digits and underscores, "+
			"with a letter at its start", a.Database)
	}
	if slices.Contains(reserved, a.Database) || strings.HasPrefix(a.Database, "pg_") {
		return "", fmt.Errorf("database %q is a name that has a meaning already", a.Database)
	}
	return a.serverConfig()
}

var databaseName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
