package todo_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/todo"
)

// program declares a namespace with a Postgres and the todo project, after the changes to its arguments.
func program(changes ...func(*todo.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		namespace, database, err := kubetest.NewDatabase(ctx, "project", "todo")
		if err != nil {
			return err
		}
		args := todo.Args{
			Namespace:     namespace,
			BackendImage:  pulumi.String("todo-backend"),
			FrontendImage: pulumi.String("todo-frontend"),
			DailyImage:    pulumi.String("daily-todo"),
			Database:      database,
			Daily: todo.Daily{
				Schedule: "0 * * * *", TimeZone: "Etc/UTC", ArticleURL: "https://en.wikipedia.org/wiki/Special:Random",
			},
		}
		for _, change := range changes {
			change(&args)
		}
		_, err = todo.New(ctx, "list", args)
		return err
	}
}

// Each part waits for what it needs.
func TestOrder(t *testing.T) {
	recording := recorder.Run(t, program())
	for name, needs := range map[string][]string{
		"list-backend-deployment":  {"db-statefulset", "list-config"},
		"list-frontend-deployment": {"list-backend-service", "list-config"},
	} {
		require.Subset(t, recording.Get(t, "kubernetes:apps/v1:Deployment", name).DependsOn(), needs, name)
	}
	require.Subset(t, recording.Get(t, "kubernetes:batch/v1:CronJob", "list-daily-cronjob").DependsOn(),
		[]string{"list-backend-service", "list-config"})
}

func TestPodsRestartWithTheirSettings(t *testing.T) {
	recording := recorder.Run(t, program(func(args *todo.Args) {
		args.Database.Owner.Digest = pulumi.String("1234").ToStringOutput()
		args.AllowedOrigins, args.OwnOrigins = "https://shop.example.com", "https://todo.example.com"
	}))
	for name, annotations := range map[string]map[string]string{
		"list-backend-deployment": {
			"stateful-k3s/postgres-client": "1234",
			"stateful-k3s/allowed-origins": "https://shop.example.com",
		},
		"list-frontend-deployment": {"stateful-k3s/own-origins": "https://todo.example.com"},
	} {
		pod := recorder.Object[*appsv1.Deployment](recording, name).Spec.Template
		require.Equal(t, annotations, pod.Annotations, name)
	}
}

// The users are in a Secret that the frontend's pods mount, and a change restarts them.
func TestLogin(t *testing.T) {
	login := func(users string) *recorder.Recording {
		return recorder.Run(t, program(func(args *todo.Args) {
			args.Login = pulumi.ToSecret(pulumi.String(users)).(pulumi.StringOutput)
		}))
	}
	const users = "alice:$2y$05$abcdefghijklmnopqrstuv"
	recording := login(users)
	recording.RequireSecret(t, users)
	deployment := recording.Get(t, "kubernetes:apps/v1:Deployment", "list-frontend-deployment")
	require.Contains(t, deployment.DependsOn(), "list-frontend-login")
	pod := func(recording *recorder.Recording) corev1.PodTemplateSpec {
		return recorder.Object[*appsv1.Deployment](recording, "list-frontend-deployment").Spec.Template
	}
	require.Contains(t, pod(recording).Spec.Containers[0].Env,
		corev1.EnvVar{Name: "LOGIN_FILE", Value: "/run/secrets/login/users"})
	require.NotEqual(t, pod(recording).Annotations, pod(login(users+"x")).Annotations)
}

func TestAPageThatIsOpenToTheInternet(t *testing.T) {
	const host = "todo.example.com"
	gateway := func(address string) *kube.Gateway { return &kube.Gateway{Name: "web", Address: address} }
	for name, test := range map[string]struct {
		ingress *kube.Ingress
		login   pulumi.StringInput
		open    string
	}{
		"a name of the internet": {&kube.Ingress{Host: host, TLSSecret: "a"}, nil, host},
		"of a provider":          {&kube.Ingress{Host: "todo.github.io", TLSSecret: "a"}, nil, "todo.github.io"},
		"a name at home":         {&kube.Ingress{Host: "todo.lan", TLSSecret: "a"}, nil, ""},
		"no certificate":         {&kube.Ingress{Host: host}, nil, ""},
		"no ingress":             {nil, nil, ""},
		"a login":                {&kube.Ingress{Host: host, TLSSecret: "a"}, pulumi.String("alice:$2y$"), ""},
		"an ingress that may ask": {&kube.Ingress{Host: host, TLSSecret: "a",
			Annotations: map[string]string{"nginx.ingress.kubernetes.io/auth-secret": "users"}}, nil, ""},
		"a Gateway":            {&kube.Ingress{Host: host, Gateway: gateway("10.0.0.7")}, nil, host},
		"a Gateway's address":  {&kube.Ingress{Gateway: gateway("8.8.8.8")}, nil, "8.8.8.8"},
		"a Gateway at home":    {&kube.Ingress{Gateway: gateway("10.0.0.7")}, nil, ""},
		"a Gateway, not known": {&kube.Ingress{Gateway: gateway("")}, nil, ""},
		"a Gateway and a login": {&kube.Ingress{Host: host, Gateway: gateway("")},
			pulumi.String("alice:$2y$"), ""},
		"a Gateway with a name":  {&kube.Ingress{Gateway: gateway("lb.example.com")}, nil, "lb.example.com"},
		"a Gateway and its name": {&kube.Ingress{Host: "todo.lan", Gateway: gateway("8.8.8.8")}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := recorder.Try(t, program(func(args *todo.Args) {
				args.Ingress, args.Login = test.ingress, test.login
			}))
			if test.open != "" {
				require.ErrorContains(t, err, "anybody who finds "+test.open+" may see and change the todos: ")
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestDeclarationErrors(t *testing.T) {
	withIngress := program(func(args *todo.Args) {
		args.Ingress = &kube.Ingress{Class: "traefik", Namespace: "kube-system"}
		args.Login = pulumi.String("alice:$2y$")
	})
	recorder.RequireErrors(t, withIngress, map[string]string{
		"list":                         "declaring todo list: ",
		"list-config":                  "todo list: declaring config map todo-config: ",
		"list-backend-database-egress": "todo list: declaring network policy list-backend-database-egress: ",
		"list-backend-client-ingress":  "todo list: declaring network policy list-backend-client-ingress: ",
		"list-backend-deployment":      "todo list: declaring deployment todo-backend: ",
		"list-frontend-backend-egress": "todo list: declaring network policy list-frontend-backend-egress: ",
		"list-frontend-client-ingress": "todo list: declaring network policy list-frontend-client-ingress: ",
		"list-frontend-login":          "todo list: declaring secret todo-login: ",
		"list-frontend-service":        "todo list: declaring service todo-frontend-svc: ",
		"list-frontend-ingress":        "todo list: declaring ingress todo-frontend: ",
		"list-daily-backend-egress":    "todo list: declaring network policy list-daily-backend-egress: ",
		"list-daily-article-egress":    "todo list: declaring network policy list-daily-article-egress: ",
		"list-daily-cronjob":           "todo list: declaring cron job daily-todo: ",
	})
}

func TestArgumentErrors(t *testing.T) {
	_, err := recorder.Try(t, program(func(args *todo.Args) { *args = todo.Args{} }))
	require.ErrorContains(t, err, "todo list: "+strings.Join([]string{
		"BackendImage is required", "Daily.ArticleURL is required", "Daily.Schedule is required",
		"Daily.TimeZone is required", "DailyImage is required", "Database is required",
		"FrontendImage is required", "Namespace is required",
	}, "\n"))
	_, err = recorder.Try(t, program(func(args *todo.Args) {
		args.Daily.ArticleURL = "https://wiki.example.com:port/"
	}))
	require.ErrorContains(t, err, `todo list: reading the port of "https://wiki.example.com:port/": `)
}
