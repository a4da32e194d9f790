package todo

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/stateful-k3s/stateful-k3s/infra/kube"
)

// The ConfigMap has a key for each environment variable of the project's pods.
const (
	configMap = "todo-config"

	allowedOrigins = "ALLOWED_ORIGINS"
	ownOrigins     = "OWN_ORIGINS"
	backendURL     = "BACKEND_URL"
	articleURL     = "ARTICLE_URL"
	// authorities is the name of a file.
	authorities = "authorities.pem"
)

func newSettings(ctx *pulumi.Context, name string, args Args,
	opts ...pulumi.ResourceOption) (*corev1.ConfigMap, error) {
	data := map[string]string{
		allowedOrigins: args.AllowedOrigins,
		ownOrigins:     args.OwnOrigins,
		backendURL:     "http://" + backendService,
		articleURL:     args.Daily.ArticleURL,
	}
	if args.Daily.Authorities != "" {
		data[authorities] = args.Daily.Authorities
	}
	settings, err := corev1.NewConfigMap(ctx, name, &corev1.ConfigMapArgs{
		Metadata: args.Namespace.Meta("todo", configMap, nil),
		Data:     pulumi.ToStringMap(data),
	}, append(opts, args.Namespace.Ready())...)
	if err != nil {
		return nil, fmt.Errorf("declaring config map %s: %w", configMap, err)
	}
	return settings, nil
}

// setting is an environment variable from the ConfigMap.
func setting(key string) corev1.EnvVarArgs {
	return kube.EnvFromConfigMap(key, configMap, key)
}
