package todo_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/stateful-k3s/stateful-k3s/infra/internal/kubetest"
	"github.com/stateful-k3s/stateful-k3s/infra/internal/recorder"
	"github.com/stateful-k3s/stateful-k3s/infra/kube"
	"github.com/stateful-k3s/stateful-k3s/infra/todo"
)

const (
	backendImage  = "registry.example.com/todo-backend:dev@" + recorder.Digest
	frontendImage = "registry.example.com/todo-frontend:dev@" + recorder.Digest
	dailyImage    = "registry.example.com/daily-todo:dev@" + recorder.Digest
)

// program declares a namespace with a Postgres and the todo project in it, whose arguments can be changed
// before.
func program(changes ...func(*todo.Args)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		namespace, database, err := kubetest.NewDatabase(ctx, "project", "todo")
		if err != nil {
			return err
		}
		args := todo.Args{
			Namespace:     namespace,
			BackendImage:  pulumi.String(backendImage),
			FrontendImage: pulumi.String(frontendImage),
			DailyImage:    pulumi.String(dailyImage),
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

var parts = []string{
	"list-backend-budget kubernetes:policy/v1:PodDisruptionBudget",
	"list-backend-client-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-backend-client-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-backend-database-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-backend-database-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-backend-deployment kubernetes:apps/v1:Deployment",
	"list-backend-service kubernetes:core/v1:Service",
	"list-config kubernetes:core/v1:ConfigMap",
	"list-daily-article-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-daily-backend-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-daily-backend-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-daily-cronjob kubernetes:batch/v1:CronJob",
	"list-frontend-backend-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-frontend-backend-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-frontend-budget kubernetes:policy/v1:PodDisruptionBudget",
	"list-frontend-client-egress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-frontend-client-ingress kubernetes:networking.k8s.io/v1:NetworkPolicy",
	"list-frontend-deployment kubernetes:apps/v1:Deployment",
	"list-frontend-service kubernetes:core/v1:Service",
}

func TestTodoHasTheseParts(t *testing.T) {
	for name, options := range map[string][]recorder.Option{"update": nil, "preview": {recorder.Preview()}} {
		t.Run(name, func(t *testing.T) {
			names := []string{}
			for _, recorded := range recorder.Run(t, program(), options...).All() {
				if recorded.Parent() == "list" {
					names = append(names, recorded.URN.Name()+" "+string(recorded.URN.Type()))
				}
			}
			slices.Sort(names)
			require.Equal(t, parts, names)
		})
	}
}

func TestTodoPartsFollowTheHouseRules(t *testing.T) {
	recording := recorder.Run(t, program())
	for _, recorded := range recording.All() {
		if recorded.Parent() != "list" {
			continue
		}
		object := recorded.Object.(metav1.Object)
		require.Equal(t, "alice-project", object.GetNamespace(), recorded.URN)
		require.Equal(t, "stateful-k3s", object.GetAnnotations()["pulumi.com/patchFieldManager"], recorded.URN)
		require.Subset(t, recorded.DependsOn(), []string{"project", "project-default-deny", "project-dns"},
			recorded.URN)
		require.False(t, recorded.Request.GetRetainOnDelete(), recorded.URN)
	}
}

// Each is there before what needs it.
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

func TestConfigMap(t *testing.T) {
	configMap := recorder.Object[*corev1.ConfigMap](recorder.Run(t, program()), "list-config")
	require.Equal(t, "todo-config", configMap.Name)
	require.Equal(t, map[string]string{
		"ALLOWED_ORIGINS": "*",
		"ARTICLE_URL":     "https://en.wikipedia.org/wiki/Special:Random",
		"BACKEND_URL":     "http://todo-backend-svc",
		"OWN_ORIGINS":     "",
	}, configMap.Data)
}

// fromConfigMap is an environment variable that has its value, under its own name, from the ConfigMap.
func fromConfigMap(name string) corev1.EnvVar {
	return corev1.EnvVar{Name: name,
		ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "todo-config"}, Key: name,
		}}}
}

func TestWebApps(t *testing.T) {
	recording := recorder.Run(t, program(func(args *todo.Args) {
		args.BackendReplicas,
			args.FrontendReplicas = 3, 4
	}))
	const serviceNames = "todo-frontend-svc todo-frontend-svc.alice-project todo-frontend-svc.alice-project.svc " +
		"todo-frontend-svc.alice-project.svc.cluster.local"
	ports := []corev1.EnvVar{{Name: "PORT", Value: "8080"}, {Name: "METRICS_PORT", Value: "9090"}}
	for name, test := range map[string]struct {
		inCluster, service, image string
		replicas                  int32
		env                       []corev1.EnvVar
	}{
		"list-backend": {"todo-backend", "todo-backend-svc", backendImage, 3,
			[]corev1.EnvVar{{Name: "URL_FILE", Value: "/run/secrets/postgres/URL"}, fromConfigMap("ALLOWED_ORIGINS")}},
		"list-frontend": {"todo-frontend", "todo-frontend-svc", frontendImage, 4,
			[]corev1.EnvVar{fromConfigMap("BACKEND_URL"), fromConfigMap("OWN_ORIGINS"),
				{Name: "OWN_HOSTS", Value: serviceNames}}},
	} {
		deployment := recorder.Object[*appsv1.Deployment](recording, name+"-deployment")
		require.Equal(t, test.inCluster, deployment.Name)
		require.Equal(t, &test.replicas, deployment.Spec.Replicas)
		container := deployment.Spec.Template.Spec.Containers[0]
		require.Equal(t, test.image, container.Image)
		require.Equal(t, append(test.env, ports...), container.Env)
		require.Equal(t, kubetest.Resources("50m", "2", "64Mi"), container.Resources)
		require.Equal(t, test.service, recorder.Object[*corev1.Service](recording, name+"-service").Name)
	}
	backend := recorder.Object[*appsv1.Deployment](recording, "list-backend-deployment").Spec.Template.Spec
	require.Len(t, backend.Volumes, 1)
	require.Equal(t, []corev1.VolumeMount{{Name: backend.Volumes[0].Name, MountPath: "/run/secrets/postgres",
		ReadOnly: true}},
		backend.Containers[0].VolumeMounts)
	require.Empty(t, recorder.Object[*appsv1.Deployment](recording,
		"list-frontend-deployment").Spec.Template.Spec.Volumes)
}

func TestBackendRestartsWithItsSettings(t *testing.T) {
	recording := recorder.Run(t, program(func(args *todo.Args) {
		args.Database.Owner.Digest = pulumi.String("1234").ToStringOutput()
		args.AllowedOrigins = "https://todo.example.com"
	}))
	require.Equal(t, map[string]string{
		"stateful-k3s/postgres-client": "1234",
		"stateful-k3s/allowed-origins": "https://todo.example.com",
	}, recorder.Object[*appsv1.Deployment](recording, "list-backend-deployment").Spec.Template.Annotations)
	require.Equal(t, "https://todo.example.com",
		recorder.Object[*corev1.ConfigMap](recording, "list-config").Data["ALLOWED_ORIGINS"])
}

func TestFrontendKnowsItsAddresses(t *testing.T) {
	recording := recorder.Run(t, program(func(args *todo.Args) {
		args.Ingress = &kube.Ingress{Class: "traefik", Namespace: "kube-system", Host: "alice.example.com"}
		args.OwnOrigins = "https://todo.example.com"
	}))
	pod := recorder.Object[*appsv1.Deployment](recording, "list-frontend-deployment").Spec.Template
	require.Equal(t, map[string]string{"stateful-k3s/own-origins": "https://todo.example.com"}, pod.Annotations)
	require.Equal(t, "https://todo.example.com",
		recorder.Object[*corev1.ConfigMap](recording, "list-config").Data["OWN_ORIGINS"])
	hosts := pod.Spec.Containers[0].Env[2].Value
	require.True(t, strings.HasSuffix(hosts, ".svc.cluster.local alice.example.com"), hosts)
}

func TestConnections(t *testing.T) {
	recording := recorder.Run(t, program())
	clients, database := kubetest.Label("todo-client", "true"), kubetest.Label("app", "postgres")
	backend, frontend, daily := kubetest.Label("app", "todo-backend"), kubetest.Label("app", "todo-frontend"),
		kubetest.Label("app", "daily-todo")
	for name, connection := range map[string]struct {
		from, to metav1.LabelSelector
		port     int32
	}{
		"list-backend-client":   {clients, backend, 8080},
		"list-backend-database": {backend, database, 5432},
		"list-frontend-client":  {clients, frontend, 8080},
		"list-frontend-backend": {frontend, backend, 8080},
		"list-daily-backend":    {daily, backend, 8080},
	} {
		kubetest.RequireConnection(t, recording, name, "alice-project", connection.from, connection.to,
			connection.port)
	}
}

func TestPeopleReachThePageThroughTheIngress(t *testing.T) {
	recording := recorder.Run(t, program(func(args *todo.Args) {
		args.Ingress = &kube.Ingress{Class: "traefik", Namespace: "kube-system", Host: "alice.example.com"}
	}))
	paths := []string{}
	for _, path := range recorder.Object[*networkingv1.Ingress](recording,
		"list-frontend-ingress").Spec.Rules[0].HTTP.Paths {
		paths = append(paths, string(*path.PathType)+" "+path.Path)
		require.Equal(t, "todo-frontend-svc", path.Backend.Service.Name)
	}
	require.Equal(t, []string{"Exact /", "Prefix /form", "Prefix /static", "Prefix /todos"}, paths)
	require.Equal(t, "http://alice.example.com/", recording.Outputs("list")["url"].StringValue())
	require.Equal(t, metav1.LabelSelector{MatchLabels: map[string]string{"app": "todo-frontend"}},
		recorder.Object[*networkingv1.NetworkPolicy](recording,
			"list-frontend-controller-ingress").Spec.PodSelector)
}

// Only what follows from the built images and the password is unknown in a preview.
func TestPreview(t *testing.T) {
	recording := recorder.Run(t, program(func(args *todo.Args) {
		unknown := pulumi.UnsafeUnknownOutput(nil).ApplyT(func(any) string { return "" }).(pulumi.StringOutput)
		args.BackendImage, args.FrontendImage = unknown, unknown
	}), recorder.Preview())
	full := recorder.Run(t, program())
	for _, name := range []string{"list-backend-deployment", "list-frontend-deployment"} {
		expected := recorder.Object[*appsv1.Deployment](full, name)
		expected.Spec.Template.Spec.Containers[0].Image = recorder.Unknown
		if strings.Contains(name, "backend") {
			expected.Spec.Template.Annotations["stateful-k3s/postgres-client"] = recorder.Unknown
		}
		require.Equal(t, expected, recorder.Object[*appsv1.Deployment](recording, name))
	}
}

func TestComponent(t *testing.T) {
	recording := recorder.Run(t, program())
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"namespace":        "alice-project",
		"backendImage":     backendImage,
		"frontendImage":    frontendImage,
		"dailyImage":       dailyImage,
		"backendReplicas":  2.0,
		"frontendReplicas": 2.0,
		"database":         "postgres-svc.alice-project.svc:5432",
		"allowedOrigins":   "*",
		"ownOrigins":       "",
		"schedule":         "0 * * * *",
		"timeZone":         "Etc/UTC",
		"articleURL":       "https://en.wikipedia.org/wiki/Special:Random",
		"authorities":      "",
	}), recording.Get(t, "stateful-k3s:todo:Todo", "list").Inputs)
	require.Equal(t, resource.NewPropertyMapFromMap(map[string]any{
		"backend":  "todo-backend-svc.alice-project.svc:80",
		"frontend": "todo-frontend-svc.alice-project.svc:80",
		"url":      "",
	}), recording.Outputs("list"))
}

func TestDeclarationErrors(t *testing.T) {
	withIngress := program(func(args *todo.Args) {
		args.Ingress = &kube.Ingress{Class: "traefik",
			Namespace: "kube-system"}
	})
	recorder.RequireErrors(t, withIngress, map[string]string{
		"list":                         "declaring todo list: ",
		"list-config":                  "todo list: declaring config map todo-config: ",
		"list-backend-database-egress": "todo list: declaring network policy list-backend-database-egress: ",
		"list-backend-client-ingress":  "todo list: declaring network policy list-backend-client-ingress: ",
		"list-backend-deployment":      "todo list: declaring deployment todo-backend: ",
		"list-frontend-backend-egress": "todo list: declaring network policy list-frontend-backend-egress: ",
		"list-frontend-client-ingress": "todo list: declaring network policy list-frontend-client-ingress: ",
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
		"Daily.TimeZone is required",
		"DailyImage is required", "Database is required", "FrontendImage is required", "Namespace is required",
	}, "\n"))
	_, err = recorder.Try(t, program(
		func(args *todo.Args) { args.Daily.ArticleURL = "https://wiki.example.com:port/" }))
	require.ErrorContains(t, err, `todo list: reading the port of "https://wiki.example.com:port/": `)
}

// articleEgress is where daily-todo may connect to besides the backend.
func articleEgress(t *testing.T, change func(*todo.Args)) networkingv1.NetworkPolicySpec {
	t.Helper()
	return recorder.Object[*networkingv1.NetworkPolicy](recorder.Run(t, program(change)),
		"list-daily-article-egress").Spec
}

func TestArticlesComeFromTheInternet(t *testing.T) {
	spec := articleEgress(t, func(*todo.Args) {})
	require.Equal(t, metav1.LabelSelector{MatchLabels: map[string]string{"app": "daily-todo"}}, spec.PodSelector)
	require.Len(t, spec.Egress, 1)
	require.Equal(t, ptr.To(intstr.FromInt32(443)), spec.Egress[0].Ports[0].Port)
	require.Len(t, spec.Egress[0].To, len(kube.Internet))
	for i, network := range kube.Internet {
		require.Equal(t, &networkingv1.IPBlock{CIDR: network.CIDR, Except: network.Except},
			spec.Egress[0].To[i].IPBlock)
	}
}

func TestArticlesComeFromNetworksOfChoice(t *testing.T) {
	spec := articleEgress(t, func(args *todo.Args) {
		args.Daily.ArticleURL = "https://10.231.1.1:8443/random"
		args.Daily.Networks = []kube.Network{{CIDR: "10.231.1.1/32"}}
	})
	require.Equal(t, []networkingv1.NetworkPolicyEgressRule{{
		To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "10.231.1.1/32",
			Except: []string{}}}},
		Ports: []networkingv1.NetworkPolicyPort{{Protocol: ptr.To(corev1.ProtocolTCP),
			Port: ptr.To(intstr.FromInt32(8443))}},
	}}, spec.Egress)
}
