package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/wait"
)

// tlsName is a name that an ingress serves with a certificate of an issuer, to the users of a login.
type tlsName struct {
	host, issuer, users, password string
	certificate                   []byte
}

// issuers is as much of cert-manager as the program looks for.
const issuers = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clusterissuers.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Cluster
  names: {kind: ClusterIssuer, plural: clusterissuers}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: e2e}
`

// issueTLSName stands in for cert-manager until the test ends: it has an issuer, and puts the certificate of
// a name where the Ingresses of the stack want it.
func issueTLSName(c *kube.Cluster) tlsName {
	const host, secret, password = "stateful.example.com", "ingress-tls", "swordfish"
	certificate, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	require.NoError(c.T, err)
	for _, namespace := range []string{exercises, project} {
		_, err := c.CoreV1().Secrets(namespace).Create(c.T.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: secret},
			Type:       corev1.SecretTypeTLS,
			Data:       map[string][]byte{"tls.crt": certificate, "tls.key": key},
		}, metav1.CreateOptions{})
		require.NoError(c.T, err)
		c.T.Cleanup(func() { c.In(namespace).Kubectl("delete", "secret", secret) })
	}
	definition, issuer, _ := strings.Cut(issuers, "---")
	for _, object := range []string{definition, issuer} {
		wait.Until(c.T, func() error { // the definition takes a moment
			apply := c.Command("apply", "--filename", "-")
			apply.Stdin = strings.NewReader(object)
			return apply.Run()
		})
	}
	c.T.Cleanup(func() { c.Kubectl("delete", "crd", "clusterissuers.cert-manager.io") })
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(c.T, err)
	return tlsName{host, "e2e", "alice:" + string(hash), password, certificate}
}

// answersForOneName asks the ingress for its name, and for another one. The todos are for users alone.
func answersForOneName(t *testing.T, c *kube.Cluster, name tlsName) {
	for namespace, ingress := range map[string]string{exercises: "pingpong", project: "todo-frontend"} {
		found, err := c.NetworkingV1().Ingresses(namespace).Get(t.Context(), ingress, metav1.GetOptions{})
		require.NoError(t, err)
		assert.Equal(t, name.issuer, found.Annotations["cert-manager.io/cluster-issuer"])
	}
	assert.Equal(t, "https://"+name.host+"/", pulumi.GetOutputs(t).TodoURL)
	assert.Equal(t, "https://"+name.host+"/pingpong", pulumi.GetOutputs(t).PingpongURL)

	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: trusting(t, name.certificate),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, lab.NodeAddress()+":443") // no name server knows the name
		},
	}}
	for _, request := range []struct {
		path, password string
		status         int
	}{
		{"/", name.password, http.StatusOK}, {"/", "", http.StatusUnauthorized},
		{"/todos", name.password, http.StatusOK}, {"/todos", "guessed", http.StatusUnauthorized},
		{"/pings", "", http.StatusOK},
	} {
		wait.Until(t, func() error { // Traefik takes up a change within seconds
			asked, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+name.host+request.path,
				http.NoBody)
			if err != nil {
				return err
			}
			if request.password != "" {
				asked.SetBasicAuth("alice", request.password)
			}
			response, err := client.Do(asked)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if response.StatusCode != request.status {
				return errors.New(response.Status)
			}
			return nil
		})
	}
	wait.Until(t, func() error {
		if status, _ := fetch(t, "http://"+lab.NodeAddress(), "other.example.com"); status != http.StatusNotFound {
			return fmt.Errorf("another name is answered with %d", status)
		}
		return nil
	})
}

// trusting returns the settings of a transport that trusts a certificate alone. Each transport needs its own:
// one for HTTP/2 adds that to them, and one for HTTP/1 that shares them then fails with EOF.
func trusting(t *testing.T, certificate []byte) *tls.Config {
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(certificate))
	return &tls.Config{RootCAs: trusted}
}
