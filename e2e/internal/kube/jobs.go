package kube

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// StartJob starts a Job as a CronJob does, but for a change, and returns its name, which is a new one each
// time: a daily todo's Job adds no todo under the name of a Job before it.
func (c *Cluster) StartJob(cronJob, name string, change func(*batchv1.JobSpec)) string {
	cron, err := c.BatchV1().CronJobs(c.Namespace).Get(c.T.Context(), cronJob, metav1.GetOptions{})
	require.NoError(c.T, err)
	template := cron.Spec.JobTemplate
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-", Labels: template.Labels},
		Spec: template.Spec}
	change(&job.Spec)
	job, err = c.BatchV1().Jobs(c.Namespace).Create(c.T.Context(), job, metav1.CreateOptions{})
	require.NoError(c.T, err)
	return job.Name
}

// SetEnv sets a variable of the only container.
func SetEnv(job *batchv1.JobSpec, name, value string) {
	container := &job.Template.Spec.Containers[0]
	container.Env = slices.DeleteFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == name })
	container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: value})
}

// JobPods returns the pods of a Job, oldest first.
func (c *Cluster) JobPods(job string) []corev1.Pod {
	return c.Pods("batch.kubernetes.io/job-name=" + job)
}

// WaitForJob returns whether a Job completed, when it has ended, and what its pods have logged.
func (c *Cluster) WaitForJob(name string) (completed bool, log string) {
	wait.Until(c.T, func() error {
		job, err := c.BatchV1().Jobs(c.Namespace).Get(c.T.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range job.Status.Conditions {
			completed = condition.Type == batchv1.JobComplete
			if condition.Status == corev1.ConditionTrue && (completed || condition.Type == batchv1.JobFailed) {
				return nil
			}
		}
		return fmt.Errorf("job %s has not ended: %+v", name, job.Status)
	})
	for _, pod := range c.JobPods(name) {
		log += c.Log(pod.Name, pod.Spec.Containers[0].Name)
	}
	return completed, log
}

// ScheduledJob returns the name of the newest Job that a CronJob has started by itself: it deletes old ones.
func (c *Cluster) ScheduledJob(cronJob string) (name string) {
	wait.Until(c.T, func() error {
		jobs, err := c.BatchV1().Jobs(c.Namespace).List(c.T.Context(),
			metav1.ListOptions{LabelSelector: "app=" + cronJob})
		if err != nil {
			return err
		}
		for _, job := range slices.Backward(jobs.Items) { // their names end with their minutes
			if job.Annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] != "" {
				name = job.Name
				return nil
			}
		}
		return errors.New("the CronJob has started no Job")
	})
	return name
}

// Visitor is a pod that Pod Security "restricted" lets in. It runs a shell script once.
func Visitor(labels map[string]string, script string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "visitor-", Labels: labels},
		Spec: corev1.PodSpec{
			RestartPolicy:                corev1.RestartPolicyNever,
			AutomountServiceAccountToken: ptr.To(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:   ptr.To(true),
				RunAsUser:      ptr.To[int64](999),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name:    "visitor",
				Image:   "redis:8",
				Command: []string{"sh", "-c", script},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false),
					ReadOnlyRootFilesystem:   ptr.To(true),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1m")}, // many may run at once
					Limits: corev1.ResourceList{
						corev1.ResourceCPU:    resource.MustParse("250m"),
						corev1.ResourceMemory: resource.MustParse("32Mi"),
					},
				},
			}},
		},
	}
}

// Reached tells which host:port a pod with the labels can connect to. Policies reach a new pod a moment after
// its start, first those of the pods that it connects to: until then it reaches only what no policy guards.
// So the first address should be one that can be reached, and each has to be reached twice.
func (c *Cluster) Reached(labels map[string]string, addresses ...string) (reached []string) {
	script := `connect() { timeout 2 bash -c "</dev/tcp/$1/$2" 2>/dev/null; }
reach() {
	for try in $(seq $3); do connect $1 $2 && sleep 3 && connect $1 $2 && echo $1:$2 && return; sleep 1; done
}
`
	for i, address := range addresses {
		tries := " 3 &\n"
		if i == 0 {
			tries = " 10\n"
		}
		script += "reach " + strings.Replace(address, ":", " ", 1) + tries
	}
	output, _ := c.Visit(Visitor(labels, script+"wait"))
	return strings.Fields(output)
}
