package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	namespace   = "exercises"
	postgresPod = "postgres-ss-0"
)

// cluster is the lab's.
type cluster struct {
	*kubernetes.Clientset
	lab string
}

func newCluster() (*cluster, error) {
	lab := os.Getenv("STATEFUL_K3S_LAB")
	if lab == "" {
		return nil, fmt.Errorf("STATEFUL_K3S_LAB is not set: run make bench")
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	return &cluster{client, lab}, err
}

// network is the network namespace of the node on which all pods are.
func (c *cluster) network() string { return "/run/netns/sk3s-" + c.lab + "-0" }

func (c *cluster) pods(ctx context.Context, selector string) ([]corev1.Pod, error) {
	list, err := c.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("there are no pods %s: run make up", selector)
	}
	return list.Items, nil
}

func addresses(pods []corev1.Pod) []string {
	var all []string
	for _, pod := range pods {
		all = append(all, pod.Status.PodIP+":8080")
	}
	return all
}

// kubectl runs a command and returns what it wrote.
func kubectl(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--namespace", namespace}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// inPostgres runs a command in the pod of Postgres, as its superuser.
func inPostgres(ctx context.Context, args ...string) (string, error) {
	return kubectl(ctx, nil, append([]string{"exec", postgresPod, "--container", "postgres", "--"}, args...)...)
}

func sql(ctx context.Context, statement string) (string, error) {
	return inPostgres(ctx, "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname", "pingpong", "--command", statement)
}

func sqlNumber(ctx context.Context, statement string) (int64, error) {
	text, err := sql(ctx, statement)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// memory is the largest working set of the containers of that name, in bytes, as the kubelet sees it.
func (c *cluster) memory(ctx context.Context, container string) (largest int64, err error) {
	path := "/api/v1/nodes/" + c.lab + "-0/proxy/stats/summary"
	raw, err := c.RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	var summary struct {
		Pods []struct {
			Containers []struct {
				Name   string
				Memory struct{ WorkingSetBytes int64 }
			}
		}
	}
	if err := json.Unmarshal(raw, &summary); err != nil {
		return 0, err
	}
	for _, pod := range summary.Pods {
		for _, found := range pod.Containers {
			if found.Name == container {
				largest = max(largest, found.Memory.WorkingSetBytes)
			}
		}
	}
	return largest, nil
}

// startNaive runs the peer in as many pods as pingpong has, which are like those in everything but their program.
func (c *cluster) startNaive(ctx context.Context) (pods []corev1.Pod, err error) {
	deployment, err := c.AppsV1().Deployments(namespace).Get(ctx, "pingpong", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "naive-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/naive", "./bench/naive")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the peer: %w\n%s", err, out)
	}
	binary, err := os.ReadFile(dir + "/naive")
	if err != nil {
		return nil, err
	}
	if _, err := sql(ctx, `CREATE TABLE IF NOT EXISTS naive AS SELECT 0::bigint AS pings; ALTER TABLE naive OWNER TO pingpong`); err != nil {
		return nil, err
	}
	for range *deployment.Spec.Replicas {
		pod := &corev1.Pod{
			// With the label it may reach Postgres. It is in the Service too, through which nobody pings meanwhile.
			ObjectMeta: metav1.ObjectMeta{GenerateName: "naive-", Labels: map[string]string{"bench": "naive", "app": "pingpong"}},
			Spec:       *deployment.Spec.Template.Spec.DeepCopy(),
		}
		container := &pod.Spec.Containers[0]
		container.Name, container.Image = "naive", "redis:8" // any that has a shell
		container.Command = []string{"sh", "-c", "until [ -x /program/naive ]; do sleep 0.1; done; exec /program/naive"}
		container.StartupProbe, container.LivenessProbe, container.ReadinessProbe = nil, nil, nil
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "program", MountPath: "/program"})
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "program", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		made, err := c.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		if _, err := kubectl(ctx, nil, "wait", "--for=condition=Ready", "--timeout=2m", "pod/"+made.Name); err != nil {
			return nil, err
		}
		const receive = "cat > /program/partial && chmod +x /program/partial && mv /program/partial /program/naive"
		if _, err := kubectl(ctx, binary, "exec", "--stdin", made.Name, "--", "sh", "-c", receive); err != nil {
			return nil, err
		}
	}
	time.Sleep(5 * time.Second) // network policies reach a new pod a moment after its start
	return c.pods(ctx, "bench=naive")
}

func (c *cluster) stopNaive() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	none := int64(0)
	err := c.CoreV1().Pods(namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &none}, metav1.ListOptions{LabelSelector: "bench=naive"})
	if err == nil {
		_, err = sql(ctx, `DROP TABLE IF EXISTS naive`)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: remove the peer:", err)
	}
}
