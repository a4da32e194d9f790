package todo

import (
	"fmt"
	"net/url"
	"strconv"

	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

const (
	dailyName = "daily-todo"

	authoritiesDir = "/etc/daily-todo"

	// startingDeadline is how late a Job may still start, after the cluster was down; deadline is how long it may
	// take with all its retries. Both are in seconds, and shorter than an hour.
	startingDeadline = 10 * 60
	deadline         = 20 * 60
	retries          = 3
	history          = 3
)

// Daily describes the CronJob that adds an article to read.
type Daily struct {
	// Schedule is a cron expression, in TimeZone, which is a name of the time zone database such as Etc/UTC.
	Schedule, TimeZone string
	// ArticleURL is an address that redirects to a random article.
	ArticleURL string
	// Authorities are certificates in PEM that are trusted besides the public ones; empty for none.
	Authorities string
	// Networks are where ArticleURL may be; the internet by default.
	Networks []kube.Network
}

func declareDaily(ctx *pulumi.Context, name string, args Args, backend kube.WebApp, parent, after pulumi.ResourceOption) error {
	ns, daily := args.Namespace, args.Daily
	pods := kube.Pods{Namespace: ns, Labels: map[string]string{"app": dailyName}}
	err := kube.Allow(ctx, name+"-backend", kube.Connection{From: pods, To: backend.Pods(), Port: kube.HTTPPort}, parent)
	if err != nil {
		return err
	}
	port, err := articlePort(daily.ArticleURL)
	if err != nil {
		return err
	}
	if err := kube.AllowNetworks(ctx, name+"-article", pods, daily.Networks, port, parent); err != nil {
		return err
	}

	template := kube.Pod{App: dailyName, Labels: pods.Labels, Spec: dailyPodSpec(args)}.Template(ns)
	_, err = batchv1.NewCronJob(ctx, name+"-cronjob", &batchv1.CronJobArgs{
		Metadata: ns.Meta(dailyName, dailyName, nil),
		Spec: batchv1.CronJobSpecArgs{
			Schedule:                   pulumi.String(daily.Schedule),
			TimeZone:                   pulumi.String(daily.TimeZone),
			ConcurrencyPolicy:          pulumi.String("Forbid"),
			StartingDeadlineSeconds:    pulumi.Int(startingDeadline),
			SuccessfulJobsHistoryLimit: pulumi.Int(history),
			FailedJobsHistoryLimit:     pulumi.Int(history),
			JobTemplate: batchv1.JobTemplateSpecArgs{
				Metadata: metav1.ObjectMetaArgs{Labels: pulumi.ToStringMap(pods.Labels)},
				Spec: batchv1.JobSpecArgs{
					BackoffLimit:          pulumi.Int(retries),
					ActiveDeadlineSeconds: pulumi.Int(deadline),
					Template:              template,
				},
			},
		},
	}, parent, ns.Ready(), after)
	if err != nil {
		return fmt.Errorf("declaring cron job %s: %w", dailyName, err)
	}
	return nil
}

func dailyPodSpec(args Args) corev1.PodSpecArgs {
	container := corev1.ContainerArgs{
		Name:  pulumi.String(dailyName),
		Image: args.DailyImage,
		Env: corev1.EnvVarArray{
			setting(backendURL),
			setting(articleURL),
			kube.EnvFromField("JOB_NAME", "metadata.labels['batch.kubernetes.io/job-name']"),
		},
	}
	// A pod that failed stays, with its log, and the next try is another one.
	spec := corev1.PodSpecArgs{RestartPolicy: pulumi.String("Never")}
	if args.Daily.Authorities != "" {
		container.Env = append(container.Env.(corev1.EnvVarArray), kube.Env("CA_FILE", authoritiesDir+"/"+authorities))
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

// articlePort is the TCP port of a URL.
func articlePort(address string) (int, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return 0, fmt.Errorf("reading ArticleURL: %w", err)
	}
	switch {
	case parsed.Port() != "":
		return strconv.Atoi(parsed.Port())
	case parsed.Scheme == "http":
		return 80, nil
	}
	return 443, nil
}
