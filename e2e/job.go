package e2e

import (
	"errors"
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// startJob starts a Job as a CronJob does, but for a change, and returns its name. It is a new one each time:
// a daily todo's Job with the name of one that was deleted adds no todo.
func (c *cluster) startJob(cronJob, name string, change func(*batchv1.JobSpec)) string {
	c.t.Helper()
	cron, err := c.BatchV1().CronJobs(c.namespace).Get(c.t.Context(), cronJob, metav1.GetOptions{})
	require.NoError(c.t, err)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-",
		Labels: cron.Spec.JobTemplate.Labels}, Spec: cron.Spec.JobTemplate.Spec}
	change(&job.Spec)
	job, err = c.BatchV1().Jobs(c.namespace).Create(c.t.Context(), job, metav1.CreateOptions{})
	require.NoError(c.t, err)
	return job.Name
}

// setEnv sets a variable of the only container.
func setEnv(job *batchv1.JobSpec, name, value string) {
	container := &job.Template.Spec.Containers[0]
	container.Env = slices.DeleteFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == name })
	container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: value})
}

// waitForJob returns whether a Job was completed, when it has ended, and what its pods have logged.
func (c *cluster) waitForJob(name string) (completed bool, log string) {
	c.t.Helper()
	eventually(c.t, func() error {
		job, err := c.BatchV1().Jobs(c.namespace).Get(c.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range job.Status.Conditions {
			if condition.Status == corev1.ConditionTrue &&
				(condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) {
				completed = condition.Type == batchv1.JobComplete
				return nil
			}
		}
		return fmt.Errorf("job %s has not ended: %+v", name, job.Status)
	})
	for _, pod := range c.podsOfJob(name) {
		log += c.log(pod.Name, pod.Spec.Containers[0].Name)
	}
	return completed, log
}

// podsOfJob are the pods of a Job, oldest first.
func (c *cluster) podsOfJob(name string) []corev1.Pod {
	c.t.Helper()
	pods, err := c.CoreV1().Pods(c.namespace).List(c.t.Context(),
		metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + name})
	require.NoError(c.t, err)
	slices.SortFunc(pods.Items, func(a,
		b corev1.Pod) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	return pods.Items
}

// scheduledJob is the name of a Job that a CronJob has started by itself.
func (c *cluster) scheduledJob(cronJob string) (name string) {
	c.t.Helper()
	eventually(c.t, func() error {
		jobs, err := c.BatchV1().Jobs(c.namespace).List(c.t.Context(),
			metav1.ListOptions{LabelSelector: "app=" + cronJob})
		if err != nil {
			return err
		}
		for _, job := range jobs.Items {
			if job.Annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] != "" {
				name = job.Name
				return nil
			}
		}
		return errors.New("the CronJob has started no Job")
	})
	return name
}
