package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/cert"
)

// fetch asks a URL as a browser on this machine does, for a host of its own if one is given.
func fetch(t *testing.T, address, host string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	request.Host = host
	return exchange(t, request)
}

func TestPeopleReachWhatIsMeantForThem(t *testing.T) {
	c := newCluster(t)
	urls := outputs(t)
	status, body := fetch(t, urls.TodoURL, "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "</html>")
	before := c.pings()
	status, body = fetch(t, urls.PingpongURL, "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "pong ")
	assert.Equal(t, before+1, c.pings())
	for _, path := range []string{"/todos", "/todos/counts", "/pings"} {
		status, _ := fetch(t, strings.TrimSuffix(urls.TodoURL, "/")+path, "")
		assert.Equal(t, http.StatusOK, status, path)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/pingpongs", "/dashboard/", "/api/rawdata", "/ping"} {
		status, _ := fetch(t, strings.TrimSuffix(urls.TodoURL, "/")+path, "")
		assert.Equal(t, http.StatusNotFound, status, path)
	}
	address, err := url.Parse(urls.TodoURL)
	require.NoError(t, err)
	for _, port := range []string{"8080", "9090", "9000"} { // of the apps, and of Traefik itself
		_, err := http.Get("http://" + address.Hostname() + ":" + port + "/metrics")
		assert.Error(t, err, port)
	}
}

// With settings of its own the stack answers for one name, and with a certificate.
func TestIngressFollowsItsSettings(t *testing.T) {
	c := newCluster(t)
	const host, secret = "stateful.example.com", "e2e-tls"
	node, err := url.Parse(outputs(t).TodoURL)
	require.NoError(t, err)
	certificate, key, err := cert.GenerateSelfSignedCertKey(host, nil, nil)
	require.NoError(t, err)
	for _, namespace := range []string{exercises, project} {
		secrets := c.CoreV1().Secrets(namespace)
		_, err := secrets.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: secret},
			Type:       corev1.SecretTypeTLS,
			Data:       map[string][]byte{"tls.crt": certificate, "tls.key": key},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { run(t, command(".", "kubectl", "-n", namespace, "delete", "secret", secret)) })
	}
	t.Cleanup(func() { makeUp(t) })
	pulumiUpWith(t, "ingressHost="+host, "ingressTLSSecret="+secret)
	assert.Equal(t, "https://"+host+"/", outputs(t).TodoURL)
	assert.Equal(t, "https://"+host+"/pingpong", outputs(t).PingpongURL)

	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(certificate))
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) { // there is no name server for it
			return new(net.Dialer).DialContext(ctx, network, node.Hostname()+":443")
		},
	}}
	for _, path := range []string{"/", "/pings"} {
		eventually(t, func() error { // Traefik takes up a change within seconds
			response, err := client.Get("https://" + host + path)
			if err != nil {
				return err
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return errors.New(response.Status)
			}
			return nil
		})
	}
	eventually(t, func() error {
		if status, _ := fetch(t, node.String(), "other.example.com"); status != http.StatusNotFound {
			return fmt.Errorf("another name is answered with %d", status)
		}
		return nil
	})
}
