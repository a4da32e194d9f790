package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// naiveRoutes leads to the peer, also through the ingress, and lets it connect to Postgres.
const naiveRoutes = `
apiVersion: v1
kind: Service
metadata: {name: naive}
spec:
  selector: {bench: naive}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: naive}
spec:
  rules:
    - http:
        paths:
          - {path: /naive, pathType: Exact, backend: {service: {name: naive, port: {number: 80}}}}
          - {path: /empty, pathType: Exact, backend: {service: {name: naive, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: naive}
spec:
  podSelector: {matchLabels: {bench: naive}}
  policyTypes: [Ingress, Egress]
  ingress: [{}]
  egress: [{}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: naive-database}
spec:
  podSelector: {matchLabels: {app: postgres}}
  ingress: [{from: [{podSelector: {matchLabels: {bench: naive}}}]}]
`

// startNaive runs the peer in as many pods as pingpong has, with the same settings but another program.
func (c *cluster) startNaive(ctx context.Context) (pods []corev1.Pod, err error) {
	deployment, err := c.AppsV1().Deployments(counts.namespace).Get(ctx, "pingpong", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	binary, err := buildNaive(ctx)
	if err != nil {
		return nil, err
	}
	_, err = counts.sql(ctx, `CREATE TABLE IF NOT EXISTS naive AS SELECT 0::bigint AS pings;
		ALTER TABLE naive OWNER TO pingpong`)
	if err != nil {
		return nil, err
	}
	for range *deployment.Spec.Replicas {
		if err := c.startNaivePod(ctx, deployment.Spec.Template.Spec, binary); err != nil {
			return nil, err
		}
	}
	if _, err := kubectl(ctx, counts.namespace, []byte(naiveRoutes), "apply", "--filename=-"); err != nil {
		return nil, err
	}
	time.Sleep(5 * time.Second) // network policies reach a new pod a moment after its start
	return c.pods(ctx, counts.namespace, "bench=naive")
}

// buildNaive returns the peer's binary.
func buildNaive(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "naive-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/naive",
		"./bench/naive")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the peer: %w\n%s", err, out)
	}
	return os.ReadFile(dir + "/naive")
}

// startNaivePod starts a pod, and copies the peer's binary into it.
func (c *cluster) startNaivePod(ctx context.Context, spec corev1.PodSpec, binary []byte) error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "naive-", Labels: map[string]string{"bench": "naive"}},
		Spec:       *spec.DeepCopy(),
	}
	container := &pod.Spec.Containers[0]
	container.Name, container.Image = "naive", "redis:8" // any image with a shell
	container.Command = []string{"sh", "-c",
		"until [ -x /program/naive ]; do sleep 0.1; done; exec /program/naive"}
	container.StartupProbe, container.LivenessProbe, container.ReadinessProbe = nil, nil, nil
	container.VolumeMounts = append(container.VolumeMounts,
		corev1.VolumeMount{Name: "program", MountPath: "/program"})
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "program",
		VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	created, err := c.CoreV1().Pods(counts.namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = kubectl(ctx, counts.namespace, nil, "wait", "--for=condition=Ready", "--timeout=2m", "pod/"+
		created.Name)
	if err != nil {
		return err
	}
	const receive = "cat > /program/partial && chmod +x /program/partial && mv /program/partial /program/naive"
	_, err = kubectl(ctx, counts.namespace, binary, "exec", "--stdin", created.Name, "--", "sh", "-c", receive)
	return err
}

func (c *cluster) stopNaive() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	none := int64(0)
	err := c.CoreV1().Pods(counts.namespace).DeleteCollection(ctx,
		metav1.DeleteOptions{GracePeriodSeconds: &none}, metav1.ListOptions{LabelSelector: "bench=naive"})
	if err == nil {
		_, err = kubectl(ctx, counts.namespace, []byte(naiveRoutes), "delete", "--ignore-not-found", "--filename=-")
	}
	if err == nil {
		_, err = counts.sql(ctx, `DROP TABLE IF EXISTS naive`)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: remove the peer:", err)
	}
}
