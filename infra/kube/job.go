package kube

import (
	"cmp"
	"fmt"
	"time"

	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	// DefaultAttempts is how many pods a Job starts by default, until one succeeds.
	DefaultAttempts = 4
	// failFastStatus is the exit status of programs that would fail again.
	failFastStatus = 3
	// TerminationLog is the file that Kubernetes copies into the pod's status.
	TerminationLog = "/dev/termination-log"
	// history is how many succeeded, and how many failed, Jobs of a CronJob are kept.
	history = 3
)

// Job describes pods that do something once and end.
type Job struct {
	Namespace *Namespace
	// Name is the name of the Job or CronJob, and the pods' label app.
	Name string
	// FSGroup owns the files of the volumes; 0 for pods without volumes.
	FSGroup int
	Spec    corev1.PodSpecArgs
	// MaxAttempts is how many pods it starts at most, one after the other; 0 for DefaultAttempts.
	MaxAttempts int
	// FailFastContainer names the container whose exit status 3 fails the Job without another attempt.
	FailFastContainer string
	// Deadline is how long all attempts may take together.
	Deadline time.Duration
}

// Schedule says when Jobs start.
type Schedule struct {
	// Cron is a cron expression. TimeZone is a name in the time zone database, such as Etc/UTC.
	Cron, TimeZone string
	// StartingDeadline is how late a Job may start, for example because the cluster was down.
	StartingDeadline time.Duration
}

// Pods selects the pods, including pods of Jobs that people create from the CronJob.
func (j Job) Pods() Pods {
	return Pods{Namespace: j.Namespace, Labels: map[string]string{"app": j.Name}}
}

// Declare declares the Job. Pulumi waits until it has succeeded. A changed pod template, such as a new image,
// or a failure makes the next update replace it, so that it runs again.
func (j Job) Declare(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*batchv1.Job, error) {
	meta := j.Namespace.Meta(j.Name, j.Name, nil)
	Annotate(meta, "pulumi.com/replaceUnready", "true")
	// Kubernetes has ended the Job by its deadline. Pulumi would give up after ten minutes.
	timeout := (j.Deadline + time.Minute).String()
	job, err := batchv1.NewJob(ctx, name, &batchv1.JobArgs{
		Metadata: meta,
		Spec:     j.spec(),
	}, append(opts, j.Namespace.Ready(),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: timeout, Update: timeout}))...)
	if err != nil {
		return nil, fmt.Errorf("declaring job %s: %w", j.Name, err)
	}
	return job, nil
}

// DeclareCron declares a CronJob that starts such Jobs, one at a time.
func (j Job) DeclareCron(ctx *pulumi.Context, name string, schedule Schedule,
	opts ...pulumi.ResourceOption) error {
	_, err := batchv1.NewCronJob(ctx, name, &batchv1.CronJobArgs{
		Metadata: j.Namespace.Meta(j.Name, j.Name, nil),
		Spec: batchv1.CronJobSpecArgs{
			Schedule:                   pulumi.String(schedule.Cron),
			TimeZone:                   pulumi.String(schedule.TimeZone),
			ConcurrencyPolicy:          pulumi.String("Forbid"),
			StartingDeadlineSeconds:    seconds(schedule.StartingDeadline),
			SuccessfulJobsHistoryLimit: pulumi.Int(history),
			FailedJobsHistoryLimit:     pulumi.Int(history),
			JobTemplate: batchv1.JobTemplateSpecArgs{
				Metadata: metav1.ObjectMetaArgs{Labels: pulumi.ToStringMap(j.Pods().Labels)},
				Spec:     j.spec(),
			},
		},
	}, append(opts, j.Namespace.Ready())...)
	if err != nil {
		return fmt.Errorf("declaring cron job %s: %w", j.Name, err)
	}
	return nil
}

func (j Job) spec() batchv1.JobSpecArgs {
	pod := j.Spec
	// A failed pod stays, with its log, and the next attempt is a new pod.
	pod.RestartPolicy = pulumi.String("Never")
	spec := batchv1.JobSpecArgs{
		BackoffLimit:          pulumi.Int(cmp.Or(j.MaxAttempts, DefaultAttempts) - 1),
		ActiveDeadlineSeconds: seconds(j.Deadline),
		Template: Pod{App: j.Name, Labels: j.Pods().Labels, FSGroup: j.FSGroup,
			Spec: pod}.Template(j.Namespace),
	}
	if j.FailFastContainer != "" {
		rule := batchv1.PodFailurePolicyRuleArgs{
			Action: pulumi.String("FailJob"),
			OnExitCodes: batchv1.PodFailurePolicyOnExitCodesRequirementArgs{
				ContainerName: pulumi.String(j.FailFastContainer),
				Operator:      pulumi.String("In"),
				Values:        pulumi.IntArray{pulumi.Int(failFastStatus)},
			},
		}
		spec.PodFailurePolicy = batchv1.PodFailurePolicyArgs{Rules: batchv1.PodFailurePolicyRuleArray{rule}}
	}
	return spec
}
