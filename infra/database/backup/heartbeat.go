package backup

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const heartbeatDir = "/run/secrets/heartbeat"

// Heartbeat is a service such as healthchecks.io that tells people when it is not asked any more.
type Heartbeat struct {
	// URL is asked for after each backup, and /fail below it after a failure. It is secret.
	URL pulumi.StringInput
	// Server is the start of URL, up to the port. It is in Networks.
	Server   string
	Networks []kube.Network
}

// declare gives a Job what it needs to ask, and returns what the Job depends on.
func (h *Heartbeat) declare(ctx *pulumi.Context, name string, args Args, job *work,
	parent pulumi.ResourceOption) (pulumi.ResourceOption, error) {
	if h == nil {
		return pulumi.DependsOn(nil), nil
	}
	const key = "url"
	app, secretName := args.name(), args.name()+"-heartbeat"
	secret, err := kube.NewSecret(ctx, name, kube.SecretArgs{
		Namespace: args.Namespace, App: app, Name: secretName, Data: map[string]pulumi.StringInput{key: h.URL},
	}, parent)
	if err != nil {
		return nil, err
	}
	err = kube.AllowOutbound(ctx, name, kube.Outbound{
		From:     kube.Job{Namespace: args.Namespace, Name: app}.Pods(),
		Networks: h.Networks, URL: pulumi.String(h.Server), Why: "says that a backup was made",
	}, parent)
	if err != nil {
		return nil, err
	}
	job.env = append(job.env, kube.Env("HEARTBEAT_URL_FILE", heartbeatDir+"/"+key))
	job.volumes = append(job.volumes,
		kube.SecretVolume("heartbeat", secretName, 0o444, map[string]string{key: key}))
	job.mounts = append(job.mounts, kube.ReadOnly("heartbeat", heartbeatDir))
	return pulumi.DependsOn([]pulumi.Resource{secret}), nil
}
