package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/proc"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// gateway is a Gateway of the lab's Traefik for HTTP and HTTPS, and what Traefik may do besides for it.
const gateway = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-gateway}
rules:
- {apiGroups: [""], resources: [configmaps, namespaces], verbs: [list, watch]}
- {apiGroups: [gateway.networking.k8s.io], resources: ["*"], verbs: [get, list, watch, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: e2e-gateway}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: e2e-gateway}
subjects: [{kind: ServiceAccount, name: traefik, namespace: kube-system}]
---
apiVersion: v1
kind: Secret
metadata: {name: e2e-gateway, namespace: kube-system}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: e2e}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: e2e, namespace: kube-system}
spec:
  gatewayClassName: e2e
  listeners:
  - {name: http, protocol: HTTP, port: 8000, allowedRoutes: {namespaces: {from: All}}}
  - name: https
    protocol: HTTPS
    port: 8443
    tls: {certificateRefs: [{name: e2e-gateway}]}
    allowedRoutes: {namespaces: {from: All}}
`

// gatewayName is the name that the Gateway's certificate is for.
const gatewayName = "gateway.example.com"

// startGateway makes the lab's Traefik serve a Gateway until the test ends, and returns its certificate.
func startGateway(c *kube.Cluster) []byte {
	c = c.In("kube-system")
	module := strings.TrimSpace(proc.Run(c.T, proc.Command(lab.Checkout, "go", "list", "-m", "-f", "{{.Dir}}",
		"sigs.k8s.io/gateway-api")))
	definitions := filepath.Join(module, "config", "crd", "standard")
	c.Kubectl("apply", "--server-side", "--filename", definitions)
	c.T.Cleanup(func() { c.Kubectl("delete", "--filename", definitions) })
	certificate, key, err := cert.GenerateSelfSignedCertKey(gatewayName, nil, nil)
	require.NoError(c.T, err)
	apply := c.Command("apply", "--filename", "-")
	apply.Stdin = strings.NewReader(fmt.Sprintf(gateway, base64.StdEncoding.EncodeToString(certificate),
		base64.StdEncoding.EncodeToString(key)))
	proc.Run(c.T, apply)
	c.T.Cleanup(func() {
		c.Kubectl("delete", "clusterrole/e2e-gateway", "clusterrolebinding/e2e-gateway", "secret/e2e-gateway")
	})
	before := c.Field("deployment", "traefik", "{.spec.template.spec.containers[0].args}")
	run := func(args string) {
		c.Kubectl("patch", "deployment", "traefik", "--type", "json", "--patch",
			`[{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": `+args+`}]`)
		c.WaitUntilRolledOut("deployment/traefik")
	}
	c.T.Cleanup(func() { run(before) })
	run(strings.TrimSuffix(before, "]") + `,"--providers.kubernetesgateway=true",` +
		`"--providers.kubernetesgateway.statusaddress.ip=` + lab.NodeAddress() + `"]`)
	c.Kubectl("wait", "gateway/e2e", "--for", "condition=Programmed", "--timeout", "1m")
	return certificate
}

// throughTheGateway brings the stack up with a route for each Ingress. People reach the same by these.
func throughTheGateway(t *testing.T, c *kube.Cluster, certificate []byte) {
	proc.Run(t, pulumi.Up("gateway=kube-system/e2e", "pageLogin="))
	ingresses, err := c.NetworkingV1().Ingresses("").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, ingresses.Items)
	urls := pulumi.GetOutputs(t)
	assert.Equal(t, "https://"+lab.NodeAddress()+"/", urls.TodoURL, "the Gateway has a certificate")
	assert.Equal(t, "https://"+lab.NodeAddress()+"/pingpong", urls.PingpongURL)
	plain := "http://" + lab.NodeAddress()
	c.In(project).WaitUntilReplaced("deployment/todo-frontend")
	trusted := trusting(t, certificate)
	trusted.ServerName = gatewayName
	client := http.Client{Transport: &http.Transport{TLSClientConfig: trusted}}
	for _, address := range []string{plain, plain + "/pingpong", urls.TodoURL, urls.PingpongURL} {
		wait.Until(t, func() error { // Traefik takes up routes and pods within seconds
			response, err := client.Get(address)
			if err != nil {
				return err
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("%s is answered with %s", address, response.Status)
			}
			return nil
		})
	}
	peopleReachWhatIsMeantForThem(t, c, plain+"/", plain+"/pingpong")
	tricksReachNothingMore(t)
}
