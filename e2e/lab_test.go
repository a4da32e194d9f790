package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/postgres"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/rounds"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/train"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// TestMakeUpBringsBackWhatWasDeletedAndKilled changes things by hand, which a preview shows, kills the lab,
// and kills ups that start it again. Then it types make up in two shells at once: one starts the lab and
// brings up the stack, the other waits for that, or says why it does not. LAB_KILLS is the number of killed
// ups, 1 by default; LAB_SEED repeats a sequence.
func TestMakeUpBringsBackWhatWasDeletedAndKilled(t *testing.T) {
	c := newCluster(t)
	random := rounds.Random(t, "LAB")
	ride, before, claims := train.Board(c), keepSomething(c), c.Claims()

	isBack := changeByHand(c)
	preview := pulumi.Run(t, "preview", "--refresh")
	for _, changed := range []string{"todo-backend-deployment", "todo-postgres-statefulset",
		"pingpong-deployment", "todo-config", "todo-backend-service"} {
		assert.Regexp(t, `(?m)^ ?~.* `+changed+` +update`, preview)
	}
	assert.Regexp(t, `(?m)^ ?\+.*:Image pingpong +create`, preview, "the image that the registry has lost")
	c.Kubectl("delete", "statefulset", "redis-stset", "--cascade=foreground")
	require.Len(t, lab.Daemons(lab.Name()), 4, "registry, builder, node and its way out")
	for range rounds.Number(t, "LAB_KILLS", 1) {
		for _, process := range lab.Daemons(lab.Name()) {
			require.NoError(t, syscall.Kill(process, syscall.SIGKILL))
		}
		running := 1 + random.IntN(4)
		t.Logf("up is killed with %d daemons", running)
		proc.KillWhen(t, pulumi.Make("up"), func() bool { return len(lab.Daemons(lab.Name())) >= running })
	}
	proc.Run(t, pulumi.Make("lab-down"))

	makeUpTwice(t)
	assert.Len(t, lab.Daemons(lab.Name()), 4)
	c.WaitUntilReady()
	isBack()
	assert.Equal(t, claims, c.Claims())
	assert.Equal(t, before, readKept(c))
	ride.WaitUntilGoingOn()
	pulumi.UpChangesNothing(t)
}

// makeUpTwice types make up in two shells at once.
func makeUpTwice(t *testing.T) {
	first, second := proc.Start(t, pulumi.Make("up")), proc.Start(t, pulumi.Make("up"))
	var failed []string
	for _, s := range []*proc.Session{first, second} {
		if s.Wait(t) != nil {
			failed = append(failed, s.Output.String())
		}
	}
	require.Less(t, len(failed), 2, "%q", failed)
	for _, output := range failed {
		assert.Regexp(t, `another pulumi \(process \d+\) works on the stack|`+
			"the stack is currently locked by 1 lock", output)
	}
	assert.Contains(t, first.Output.String()+second.Output.String(),
		"waiting for another command that starts or stops the lab "+lab.Name())
}

func TestARefreshKeepsTheImagesOfARegistryThatIsAway(t *testing.T) {
	newCluster(t)
	images := pulumi.GetOutputs(t).Images
	for _, registry := range lab.Daemons(lab.Name(), "registry") {
		require.NoError(t, syscall.Kill(registry, syscall.SIGKILL))
	}
	t.Cleanup(func() { proc.Run(t, pulumi.Make("lab-up")) })
	said := pulumi.Run(t, "refresh", "--yes", "--skip-preview")
	assert.Contains(t, said, "unable to verify image tags, leaving state unchanged")
	assert.Equal(t, images, pulumi.GetOutputs(t).Images)
	assert.Zero(t, pulumi.Plan(t)["create"])
}

func TestStatusNamesWhatServesPeopleAndPods(t *testing.T) {
	deleteDaily(newCluster(t).In(project)) // some may not have reached Wikipedia
	status := proc.Run(t, pulumi.Make("status"))
	assert.Contains(t, status, "\ningress      http://"+lab.NodeAddress()+"\n")
	assert.Contains(t, status, "\nslirp4netns  running at sk3s-"+lab.Name()+"-0's tap0 ")
	for _, namespace := range []string{exercises, project} {
		assert.Regexp(t, `\nbackup +`+namespace+`: \w+-\w+, verified, \w+ old, [\d.]+ \w*B; \d+ in all\n`, status)
	}
}

// changeByHand changes objects of the stack as people do, and deletes an image. The function that it returns
// wants all of it back.
func changeByHand(c *kube.Cluster) (isBack func()) {
	exercises, project := c.In(exercises), c.In(project)
	changeable := func() []string {
		return []string{
			exercises.Field("deployment", "pingpong", "{.spec}"),
			project.Field("deployment", "todo-backend", "{.spec}"),
			project.Field("statefulset", postgres.Set, "{.spec}"),
			project.Field("configmap", "todo-config", "{.data}"),
			project.Field("service", "todo-backend-svc", "{.spec.ports}"),
			project.Field("namespace", project.Namespace, "{.metadata.labels}"),
		}
	}
	was, image := changeable(), pulumi.Image(c.T, "pingpong")
	project.Scale("deployment/todo-backend", "1")
	project.Scale("statefulset/"+postgres.Set, "0")
	exercises.Kubectl("set", "resources", "deployment", "pingpong", "--limits", "memory=200Mi",
		"--requests", "cpu=1m")
	exercises.Kubectl("set", "env", "deployment", "pingpong", "PORT=8081")
	project.Kubectl("patch", "configmap", "todo-config", "--patch",
		`{"data": {"ALLOWED_ORIGINS": "https://example.com"}}`)
	project.Kubectl("label", "namespace", project.Namespace, "--overwrite",
		"pod-security.kubernetes.io/enforce=baseline")
	edit := project.Command("edit", "service", "todo-backend-svc")
	edit.Env = append(os.Environ(), `KUBE_EDITOR=sed -i s/targetPort:.http/targetPort:\ 9999/`)
	proc.Run(c.T, edit)
	require.NotEqual(c.T, was, changeable())

	digest, err := name.NewDigest(image)
	require.NoError(c.T, err)
	access := registryAccess(c.T, lab.Name())
	require.NoError(c.T, remote.Delete(digest, access...))
	return func() {
		assert.Equal(c.T, was, changeable())
		assert.Equal(c.T, image, pulumi.Image(c.T, "pingpong"))
		_, err := remote.Head(digest, access...)
		assert.NoError(c.T, err, "the image is there again")
	}
}

// While an up is under way, which the test stops for a while, no other command changes anything.
func TestAnUpIsNotDisturbed(t *testing.T) {
	c := newCluster(t)
	leaveSettings()
	before := keepSomething(c)
	const schedule = "0 0 1 1 *" // a change that restarts nothing
	up := proc.Start(t, pulumi.Up("dailyTodoSchedule="+schedule))
	var process int
	wait.Until(t, func() (err error) {
		process, err = lockHolder()
		return err
	})
	require.NoError(t, syscall.Kill(process, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(process, syscall.SIGCONT) })
	working := fmt.Sprintf("another pulumi (process %d) works on the stack %s: wait until it ends", process,
		lab.Name())
	for _, test := range []struct {
		cmd  *exec.Cmd
		says string
	}{
		{pulumi.Make("up"), working},
		{pulumi.Make("destroy"), working},
		{pulumi.Make("purge"), working},
		{pulumi.Make("lab-down"), working},
		{pulumi.Up(), "the stack is currently locked by 1 lock(s)"},
	} {
		assert.Contains(t, refused(t, test.cmd), test.says, test.cmd)
	}
	require.NoError(t, syscall.Kill(process, syscall.SIGCONT))
	require.NoError(t, up.Wait(t), "%s", up.Output)
	assert.Equal(t, schedule, c.In(project).Field("cronjob", dailyTodo, "{.spec.schedule}"))
	assert.Equal(t, before, readKept(c))
}

// lockHolder returns the process that Pulumi's lock of the stack names.
func lockHolder() (process int, err error) {
	backend, _, _ := strings.Cut(strings.TrimPrefix(os.Getenv("PULUMI_BACKEND_URL"), "file://"), "?")
	locks, err := filepath.Glob(filepath.Join(backend, ".pulumi", "locks", "organization", "stateful-k3s",
		os.Getenv("PULUMI_STACK"), "*.json"))
	if err != nil || len(locks) != 1 {
		return 0, errors.Join(err, fmt.Errorf("the stack has %d locks", len(locks)))
	}
	content, err := os.ReadFile(locks[0])
	if err != nil {
		return 0, err
	}
	var lock struct{ PID int }
	return lock.PID, json.Unmarshal(content, &lock)
}
