// Package cloudnativepg runs the servers of a database as a Cluster of CloudNativePG: one primary, and
// standbys that take over when it is lost. It has the face of package statefulset.
package cloudnativepg

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/database/server"
	"github.com/stateful-k3s/stateful-k3s/infra/database/statefulset"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// apiVersion is the operator's.
const apiVersion = "postgresql.cnpg.io/v1"

// HibernationAnnotation stops the servers of a Cluster if it is on. Their volumes stay.
const HibernationAnnotation = "cnpg.io/hibernation"

// Settings are what users choose for this engine.
type Settings struct {
	// Instances is how many servers there are. Of three or more, one holds each commit besides the primary.
	Instances int
	// Operator runs them.
	Operator *Operator
	// APIServers are the addresses of the cluster's API, which each server asks whether it is the primary.
	APIServers []netip.AddrPort
	// Archive completes the Archive of the arguments; nil for none.
	Archive *Archive
	// ArchiveTimeout is the Timeout that an Archive has, or would have; optional. If servers get the plugin and
	// another parameter at once, some may have only the latter, and the operator waits for ever for the others.
	ArchiveTimeout time.Duration
}

// Args describes the servers.
type Args struct {
	statefulset.Args
	Settings
}

// Server is the component.
type Server struct {
	pulumi.ResourceState
	server.Server
	// Cluster is the object, as NAMESPACE/NAME.
	Cluster string
	// Recovered has the database as it was; nil unless the Archive has a Recovery. It takes the logins of the
	// Restorer.
	Recovered *server.Server
}

// names are the names of the objects. The other engine calls its Secret and Service the same.
type names struct{ cluster, service, certificate, archive string }

func newNames(prefix string) names {
	cluster := Name(prefix)
	return names{cluster: cluster, service: cluster + "-svc", certificate: cluster + "-server",
		archive: cluster + "-archive"}
}

// Name is the name of the Cluster of a database whose objects have a prefix.
func Name(prefix string) string { return prefix + "postgres" }

// New declares the Cluster and what it needs.
func New(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) (*Server, error) {
	if err := args.check(); err != nil {
		return nil, fmt.Errorf("postgres %s: %w", name, err)
	}
	names := newNames(args.Prefix)
	// The pods of the other engine have another label, or their service would lead to these.
	s := &Server{Cluster: args.Namespace.Name + "/" + names.cluster, Server: server.Server{
		Database: args.Database,
		Pods: kube.Pods{Namespace: args.Namespace,
			Labels: map[string]string{"app": names.cluster + "-cluster"}},
	}}
	inputs := pulumi.Map{"namespace": pulumi.String(args.Namespace.Name)}
	err := ctx.RegisterComponentResourceV2("stateful-k3s:cloudnativepg:Server", name, inputs, s, opts...)
	if err != nil {
		return nil, fmt.Errorf("declaring postgres %s: %w", name, err)
	}
	if err := s.declare(ctx, name, args, names); err != nil {
		return nil, fmt.Errorf("postgres %s: %w", name, err)
	}
	return s, nil
}

func (a *Args) check() error {
	if err := kube.Missing(map[string]bool{
		"Namespace": a.Namespace != nil, "Image": a.Image != nil, "Database": a.Database != "",
		"StorageClass": a.StorageClass != "", "Operator": a.Operator != nil, "Instances": a.Instances > 0,
	}); err != nil {
		return err
	}
	if (a.Args.Archive != nil) != (a.Settings.Archive != nil) {
		return errors.New("argument Archive: is needed by server and engine, or by neither")
	}
	if a.Args.Archive != nil && a.Args.Archive.Passphrase != nil {
		return errors.New("argument Archive: the plugin encrypts nothing")
	}
	if err := a.Complete(); err != nil {
		return err
	}
	return CheckParameters(a.Parameters)
}

func (s *Server) declare(ctx *pulumi.Context, name string, args Args, names names) error {
	parent := pulumi.Parent(s)
	creds, err := statefulset.NewCredentials(ctx, name, args.Args, parent)
	if err != nil {
		return err
	}
	s.Owner, s.Reader, s.Restorer = creds.Owner, creds.Reader, creds.Restorer
	secrets, err := declareSecrets(ctx, name, args, names, creds, parent)
	if err != nil {
		return err
	}
	if err := s.allow(ctx, name, args, parent); err != nil {
		return err
	}
	var archive []pulumi.ResourceOption
	if args.Args.Archive != nil {
		if archive, err = s.declareArchive(ctx, name, args, names, parent); err != nil {
			return err
		}
	}
	svc, err := declareService(ctx, name+"-service", args, names, parent)
	if err != nil {
		return err
	}
	spec, err := clusterSpec(args, names, s.Pods)
	if err != nil {
		return err
	}
	if args.Args.Archive != nil {
		archivedSpec(spec, args, names)
	}
	meta := args.Namespace.Meta(names.cluster, names.cluster, nil)
	kube.Annotate(meta, "pulumi.com/waitFor", awaited(args.Version.Image))
	kube.Annotate(meta, HibernationAnnotation, "off")
	if args.Args.Archive != nil {
		// The name of its folder is new, and to look whether it is empty takes a right to the whole bucket.
		kube.Annotate(meta, "cnpg.io/skipEmptyWalArchiveCheck", "enabled")
	}
	after := []pulumi.ResourceOption{parent, args.Namespace.Ready(), args.Operator.Ready(),
		pulumi.DependsOn(append(secrets, svc)), pulumi.Composite(archive...),
		// The volumes belong to the Cluster. What has happened at its birth can't change.
		pulumi.RetainOnDelete(true), pulumi.IgnoreChanges([]string{"spec.bootstrap"})}
	timeouts := pulumi.CustomTimeouts{Create: "20m", Update: "20m"}
	if rehearse := args.Version.Rehearse; rehearse != nil {
		try := statefulset.NewRehearsal(args.Args,
			spec["postgresql"].(fields)["parameters"].(map[string]string))
		try.InPlace = true
		rehearsed, err := rehearse(s.Server, try)
		if err != nil {
			return err
		}
		after = append(after, pulumi.DependsOn([]pulumi.Resource{rehearsed}))
		timeouts.Update = "2h" // standbys are copied anew
	}
	cluster, err := kube.NewObject(ctx, name+"-cluster", apiVersion, "Cluster",
		pulumi.Map{"metadata": meta, "spec": pulumi.ToMap(spec)}, append(after, pulumi.Timeouts(&timeouts))...)
	if err != nil {
		return err
	}
	s.Server = s.After(cluster)
	if args.Args.Archive != nil {
		if err := s.declareBaseBackups(ctx, name, args, names, cluster, parent); err != nil {
			return err
		}
		if err := s.recover(ctx, name, args, names, secrets, parent); err != nil {
			return err
		}
	}
	if len(args.Extensions) > 0 {
		if err := s.declareExtensions(ctx, name+"-database", args, names, parent); err != nil {
			return err
		}
	}
	s.Address = pulumi.String(fmt.Sprintf("%s.%s.svc:%d", names.service, args.Namespace.Name, server.Port)).
		ToStringOutput()
	return ctx.RegisterResourceOutputs(s, pulumi.Map{"address": s.Address})
}

// awaited is what Pulumi waits for. A Cluster whose image has just changed is still ready, with the old one.
func awaited(image string) string {
	const ready = "condition=Ready"
	major := server.Major(image)
	if major == "" {
		return ready
	}
	return fmt.Sprintf("[%q, %q]", ready, "jsonpath={.status.pgDataImageInfo.majorVersion}="+major)
}

// declareService declares the Service that leads to the primary.
func declareService(ctx *pulumi.Context, name string, args Args, names names,
	parent pulumi.ResourceOption) (*corev1.Service, error) {
	meta := args.Namespace.Meta(names.cluster, names.service, nil)
	kube.Annotate(meta, "pulumi.com/skipAwait", "true") // it has no pod before the Cluster
	service, err := corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: meta,
		Spec: corev1.ServiceSpecArgs{
			Selector: pulumi.StringMap{"cnpg.io/cluster": pulumi.String(names.cluster),
				"cnpg.io/instanceRole": pulumi.String("primary")},
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{Name: pulumi.String("postgres"),
				Port: pulumi.Int(server.Port)}},
		},
	}, parent, args.Namespace.Ready())
	if err != nil {
		return nil, fmt.Errorf("declaring service %s: %w", names.service, err)
	}
	return service, nil
}

// declareExtensions declares the Database, which the operator brings in line on the primary.
func (s *Server) declareExtensions(ctx *pulumi.Context, name string, args Args, names names,
	parent pulumi.ResourceOption) error {
	var extensions []any
	for _, extension := range args.Extensions {
		extensions = append(extensions, fields{"name": extension, "ensure": "present"})
	}
	meta := args.Namespace.Meta(names.cluster, names.cluster, nil)
	kube.Annotate(meta, "pulumi.com/waitFor", "jsonpath={.status.applied}=true")
	database, err := kube.NewObject(ctx, name, apiVersion, "Database", pulumi.Map{
		"metadata": meta,
		"spec": pulumi.ToMap(fields{
			"cluster": fields{"name": names.cluster}, "name": args.Database, "owner": args.Database,
			"databaseReclaimPolicy": "retain", "extensions": extensions,
		}),
	}, parent, args.Namespace.Ready(), s.Ready(),
		pulumi.RetainOnDelete(true)) // only a server that runs can let it go
	if err != nil {
		return err
	}
	s.Server = s.After(database)
	return nil
}
