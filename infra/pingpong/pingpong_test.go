package pingpong_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/pingpong"
)

// program declares a namespace with a Postgres and pingpong, after the changes to its arguments.
func program(changes ...func(*pingpong.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		namespace, database, err := kubetest.NewDatabase(ctx, "exercises", "pingpong")
		if err != nil {
			return err
		}
		args := pingpong.Args{Namespace: namespace, Image: pulumi.String("pingpong"), Database: database}
		for _, change := range changes {
			change(&args)
		}
		_, err = pingpong.New(ctx, "counter", args)
		return err
	}
}

func TestPodsRestartWithANewPassword(t *testing.T) {
	for _, digest := range []string{"first", "second"} {
		recording := recorder.Run(t, program(func(args *pingpong.Args) {
			args.Database.Owner.Digest = pulumi.String(digest).ToStringOutput()
		}))
		require.Equal(t, map[string]string{"stateful-k3s/postgres-client": digest},
			recorder.Object[*appsv1.Deployment](recording, "counter-deployment").Spec.Template.Annotations)
	}
}

func TestDeclarationErrors(t *testing.T) {
	recorder.RequireErrors(t, program(), map[string]string{
		"counter":                  "declaring pingpong counter: ",
		"counter-client-egress":    "pingpong counter: declaring network policy counter-client-egress: ",
		"counter-database-ingress": "pingpong counter: declaring network policy counter-database-ingress: ",
		"counter-service":          "pingpong counter: declaring service pingpong-svc: ",
		"counter-budget":           "pingpong counter: declaring pod disruption budget pingpong: ",
		"counter-deployment":       "pingpong counter: declaring deployment pingpong: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *pingpong.Args) { *args = pingpong.Args{} }))
	require.ErrorContains(t, err,
		"pingpong counter: Database is required\nImage is required\nNamespace is required")
}
