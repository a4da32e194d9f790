package kube_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// Pulumi's default is ten minutes.
func TestPulumiWaitsForAJobUntilItsDeadline(t *testing.T) {
	recording := recorder.Run(t, func(ctx *pulumi.Context) error {
		namespace, err := kube.NewNamespace(ctx, "project", kube.NamespaceArgs{Name: "project"})
		if err != nil {
			return err
		}
		_, err = kube.Job{Namespace: namespace, Name: "sweep", Deadline: time.Hour}.Declare(ctx, "sweep-job")
		return err
	})
	timeouts := recording.Get(t, "kubernetes:batch/v1:Job", "sweep-job").Request.GetCustomTimeouts()
	for _, timeout := range []string{timeouts.GetCreate(), timeouts.GetUpdate()} {
		duration, err := time.ParseDuration(timeout)
		require.NoError(t, err)
		require.Greater(t, duration, time.Hour)
	}
}
