package todo

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/net/publicsuffix"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// paths are what the ingress publishes of the frontend. Its probes stay inside the cluster.
var paths = []string{"/", "/form", "/static", "/todos"}

func frontendApp(args Args) kube.WebApp {
	app := kube.WebApp{
		Namespace:   args.Namespace,
		Name:        "todo-frontend",
		Service:     "todo-frontend-svc",
		Image:       args.FrontendImage,
		Replicas:    args.FrontendReplicas,
		Memory:      "64Mi",
		LogRequests: args.LogRequests,
		RestartOn:   pulumi.StringMap{"stateful-k3s/own-origins": pulumi.String(args.OwnOrigins)},
	}
	hosts := app.Names()
	if args.Ingress != nil && args.Ingress.Host != "" {
		hosts = append(hosts, args.Ingress.Host)
	}
	app.Env = corev1.EnvVarArray{setting(backendURL), setting(ownOrigins),
		kube.Env("OWN_HOSTS", strings.Join(hosts, " "))}
	if args.Login != nil {
		app.Env = append(app.Env, kube.Env("LOGIN_FILE", loginDir+"/"+usersKey))
		app.Volumes = corev1.VolumeArray{kube.SecretVolume(loginSecret, loginSecret, 0o444,
			map[string]string{usersKey: usersKey})}
		app.Mounts = corev1.VolumeMountArray{kube.ReadOnly(loginSecret, loginDir)}
		app.RestartOn["stateful-k3s/login"] = kube.Digest(loginSecret, args.Login)
	}
	return app
}

// The Secret with the users of the page, which the pods mount.
const (
	loginSecret = "todo-login"
	usersKey    = "users"
	loginDir    = "/run/secrets/login"
)

// newLogin declares the Secret, if the page wants a login.
func newLogin(ctx *pulumi.Context, name string, args Args, opts ...pulumi.ResourceOption) ([]pulumi.Resource,
	error) {
	if args.Login == nil {
		return nil, nil
	}
	secret, err := kube.NewSecret(ctx, name, kube.SecretArgs{
		Namespace: args.Namespace, App: "todo-frontend", Name: loginSecret,
		Data: map[string]pulumi.StringInput{usersKey: args.Login},
	}, opts...)
	return []pulumi.Resource{secret}, err
}

func declareFrontend(ctx *pulumi.Context, name string, args Args, app, backend kube.WebApp, parent,
	after pulumi.ResourceOption) (pulumi.StringOutput, error) {
	err := kube.Allow(ctx, name+"-backend", kube.Connection{
		From: app.Pods(), To: backend.Pods(), Port: kube.HTTPPort, Why: "shows and changes the todos",
	}, parent)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	err = kube.Allow(ctx, name+"-client", kube.Connection{
		From: clients(app.Namespace), To: app.Pods(), Port: kube.HTTPPort,
		Why: "may see the page, as its label says",
	}, parent)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	login, err := newLogin(ctx, name+"-login", args, parent)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	service, err := app.Declare(ctx, name, parent, after, pulumi.DependsOn(login))
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	address, err := args.Ingress.Publish(ctx, name, kube.Site{App: app, Service: service, Paths: paths}, parent)
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	if at := args.openAt(); at != "" {
		_ = ctx.Log.Warn("anybody who finds "+at+" may see and change the todos: "+
			`pulumi config set --secret pageLogin "$(htpasswd -nB alice)", or let the controller of the Ingress `+
			"or Gateway ask who they are, for example with ingressAnnotations", nil)
	}
	return address.ApplyT(func(address string) string {
		warnOfName(ctx, address, args)
		return address
	}).(pulumi.StringOutput), nil
}

// openAt returns the name or address of the internet that the page is served at with certificates or by a
// Gateway; "" if there is none, or something may ask who visits it.
func (a Args) openAt() string {
	if a.Login != nil || a.Ingress == nil || len(a.Ingress.Annotations) > 0 {
		return ""
	}
	at := a.Ingress.Host
	if gateway := a.Ingress.Gateway; gateway != nil {
		at = cmp.Or(at, gateway.Address)
	} else if a.Ingress.TLSSecret == "" {
		return ""
	}
	if !isPublic(at) {
		return ""
	}
	return at
}

// isPublic reports whether the internet has such a name or address.
func isPublic(at string) bool {
	if address, err := netip.ParseAddr(at); err == nil {
		return address.IsGlobalUnicast() && !address.IsPrivate()
	}
	suffix, managed := publicsuffix.PublicSuffix(at)
	return managed || strings.Contains(suffix, ".")
}

// warnOfName warns if the ingress controller has a host name, as in clouds, that the page does not answer to.
func warnOfName(ctx *pulumi.Context, address string, args Args) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || net.ParseIP(u.Hostname()) != nil || args.Ingress.Host != "" {
		return
	}
	if origin := u.Scheme + "://" + u.Host; !slices.Contains(strings.Fields(args.OwnOrigins), origin) {
		_ = ctx.Log.Warn("the todo page does not answer at "+origin+", the ingress controller's own address: "+
			"set ingressHost to a name that leads there, or: pulumi config set todoOwnOrigins "+origin, nil)
	}
}
