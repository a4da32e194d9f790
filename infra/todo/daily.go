package todo

import (
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	dailyName = "daily-todo"

	authoritiesDir = "/etc/daily-todo"

	// Together they are shorter than the hour after which the next Job is due.
	startingDeadline = 10 * time.Minute
	deadline         = 20 * time.Minute
)

// Daily describes the CronJob that adds an article to read.
type Daily struct {
	// Schedule is a cron expression in TimeZone, a name of the time zone database such as Etc/UTC.
	Schedule, TimeZone string
	// ArticleURL is an address that redirects to a random article.
	ArticleURL string
	// Authorities are certificates in PEM to trust in addition to the public ones; empty for none.
	Authorities string
	// Networks are where the host of ArticleURL may be; the internet by default.
	Networks []kube.Network
}

func declareDaily(ctx *pulumi.Context, name string, args Args, backend kube.WebApp, parent,
	after pulumi.ResourceOption) error {
	daily := args.Daily
	job := kube.Job{Namespace: args.Namespace, Name: dailyName, Spec: dailyPodSpec(args), Deadline: deadline}
	err := kube.Allow(ctx, name+"-backend", kube.Connection{
		From: job.Pods(), To: backend.Pods(), Port: kube.HTTPPort, Why: "adds an article to the todos",
	}, parent)
	if err != nil {
		return err
	}
	err = kube.AllowOutbound(ctx, name+"-article", kube.Outbound{
		From: job.Pods(), Networks: daily.Networks, URL: pulumi.String(daily.ArticleURL),
		Why: "asks for a random article",
	}, parent)
	if err != nil {
		return err
	}
	return job.DeclareCron(ctx, name+"-cronjob", daily.schedule(), parent, after)
}

func (d Daily) schedule() kube.Schedule {
	return kube.Schedule{Cron: d.Schedule, TimeZone: d.TimeZone, StartingDeadline: startingDeadline}
}

func dailyPodSpec(args Args) corev1.PodSpecArgs {
	container := corev1.ContainerArgs{
		Name:  pulumi.String(dailyName),
		Image: args.DailyImage,
		Env: corev1.EnvVarArray{
			setting(backendURL),
			setting(articleURL),
			kube.EnvFromField("JOB_NAME", "metadata.labels['batch.kubernetes.io/job-name']"),
			kube.Env("TERMINATION_LOG", kube.TerminationLog),
		},
		TerminationMessagePath:   pulumi.String(kube.TerminationLog),
		TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
	}
	spec := corev1.PodSpecArgs{}
	if args.Daily.Authorities != "" {
		container.Env = append(container.Env.(corev1.EnvVarArray),
			kube.Env("CA_FILE", authoritiesDir+"/"+authorities))
		container.VolumeMounts = corev1.VolumeMountArray{kube.ReadOnly("config", authoritiesDir)}
		spec.Volumes = corev1.VolumeArray{corev1.VolumeArgs{
			Name: pulumi.String("config"),
			ConfigMap: corev1.ConfigMapVolumeSourceArgs{
				Name: pulumi.String(configMap),
				Items: corev1.KeyToPathArray{corev1.KeyToPathArgs{
					Key: pulumi.String(authorities), Path: pulumi.String(authorities),
				}},
			},
		}}
	}
	spec.Containers = corev1.ContainerArray{
		kube.Container(kube.AppUser, kube.Resources{CPU: "10m", CPULimit: "1", Memory: "32Mi"}, container),
	}
	return spec
}
