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
	// DefaultAttempts is how many pods a Job has by default.
	DefaultAttempts = 4
	// failFastStatus is by which a program says that it would fail again.
	failFastStatus = 3
	// TerminationLog is the file whose content Kubernetes keeps in the status of a pod.
	TerminationLog = "/dev/termination-log"
	// history is how many Jobs a CronJob leaves behind, of those that succeeded and of those that failed.
	history = 3
)

// Job describes pods that do something once and end.
type Job struct {
	Namespace *Namespace
	// Name is that of the Job or CronJob, and the pods' label app.
	Name string
	// FSGroup is the group that owns the files of the volumes; 0 where the pod has no volume.
	FSGroup int
	Spec    corev1.PodSpecArgs
	// Tries is how many pods it has at most, one after the other; 0 for DefaultAttempts.
	MaxAttempts int
	// FailFastContainer is the container whose exit status 3 says that no other try would help; empty if none does.
	FailFastContainer string
	// Deadline is how long the Job may take with all its tries.
	Deadline time.Duration
}

// Schedule says when Jobs start.
type Schedule struct {
	// Cron is a cron expression, in TimeZone, which is a name of the time zone database such as Etc/UTC.
	Cron, TimeZone string
	// StartingDeadline is how late a Job may still start, after the cluster was down or while the Job before it
	// took its time.
	StartingDeadline time.Duration
}

// Pods selects the pods, also those of Jobs that somebody made from the CronJob.
func (j Job) Pods() Pods {
	return Pods{Namespace: j.Namespace, Labels: map[string]string{"app": j.Name}}
}

// Declare declares the Job, which is there once it has succeeded. It runs again, in place of the one before,
// when its pods' template changes, such as by a new image, or if it has failed.
func (j Job) Declare(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*batchv1.Job, error) {
	meta := j.Namespace.Meta(j.Name, j.Name, nil)
	annotate(meta, "pulumi.com/replaceUnready", "true")
	// Kubernetes says by the deadline how the Job has ended; Pulumi waits that long.
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

// DeclareCron declares a CronJob of such Jobs, of which no two run at once.
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
	// A pod that failed stays, with its log, and the next try is another one.
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
