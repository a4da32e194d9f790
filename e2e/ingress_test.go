package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/e2e/internal/kube"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/lab"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/page"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/pulumi"
	"github.com/stateful-k3s/stateful-k3s/e2e/internal/traffic"
)

// fetch asks a URL as a browser on this machine does, for another host if one is given.
func fetch(t *testing.T, address, host string) (status int, body string) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	request.Host = host
	return page.Send(t, request)
}

func TestPeopleReachWhatIsMeantForThem(t *testing.T) {
	c := newCluster(t)
	urls := pulumi.GetOutputs(t)
	peopleReachWhatIsMeantForThem(t, c, urls.TodoURL, urls.PingpongURL)
}

func peopleReachWhatIsMeantForThem(t *testing.T, c *kube.Cluster, todoURL, pingpongURL string) {
	status, body := fetch(t, todoURL, "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "</html>")
	before := traffic.Pingpong(c).Pings()
	status, body = fetch(t, pingpongURL, "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "pong ")
	assert.Equal(t, before+1, traffic.Pingpong(c).Pings())
	for _, path := range []string{"/todos", "/todos/counts", "/pings"} {
		status, _ := fetch(t, strings.TrimSuffix(todoURL, "/")+path, "")
		assert.Equal(t, http.StatusOK, status, path)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/pingpongs", "/dashboard/", "/api/rawdata",
		"/ping"} {
		status, _ := fetch(t, strings.TrimSuffix(todoURL, "/")+path, "")
		assert.Equal(t, http.StatusNotFound, status, path)
	}
	for _, port := range []string{"8080", "9090", "9000"} { // of the apps, and of Traefik itself
		_, err := http.Get("http://" + lab.NodeAddress() + ":" + port + "/metrics")
		assert.Error(t, err, port)
	}
}

// Paths, hosts and methods that lead a proxy and what is behind it to understand a request differently open
// nothing more.
func TestTricksReachNothingMore(t *testing.T) {
	newCluster(t)
	tricksReachNothingMore(t)
}

func tricksReachNothingMore(t *testing.T) {
	node := lab.NodeAddress()
	ask := func(request, host string) int {
		connection, err := net.DialTimeout("tcp", node+":80", 10*time.Second)
		require.NoError(t, err)
		defer connection.Close()
		require.NoError(t, connection.SetDeadline(time.Now().Add(time.Minute)))
		_, err = fmt.Fprintf(connection, "%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", request, host)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		require.NoError(t, err, request)
		response.Body.Close()
		return response.StatusCode
	}
	require.Equal(t, http.StatusOK, ask("GET /pings", node))
	for _, request := range []string{
		"GET //livez", "GET //metrics", "GET /./livez", "GET /%6civez", "GET /livez?path=/todos",
		"GET /livez;/todos", "GET /livez/",
		"GET /todos/../livez", "GET /todos/../metrics", "GET /todos/%2e%2e/livez", "GET /todos/..%2flivez",
		"GET /todos%2f..%2flivez",
		"GET /todos/%252e%252e/livez", "GET /todos;/../livez", `GET /todos\..\livez`, "GET /todos/%00/../livez",
		"GET /todos/livez", "GET /todos#/../livez",
		"GET /static/..%2f..%2flivez", "GET /form/../readyz", "GET /pings/..;/livez", "GET /pingpong/../livez",
		"GET /pings/../../metrics",
		"GET http://localhost:9090/metrics", "GET http://todo-backend-svc.project:80/livez",
		"GET http://kubernetes.default/api",
		"TRACE /", "TRACE /todos", "CONNECT localhost:9090", "CONNECT /livez", "GET /api/rawdata",
		"GET /dashboard/", "GET /debug/pprof/",
	} {
		assert.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed},
			ask(request, node), request)
	}
	for _, host := range []string{"localhost:9090", "127.0.0.1:8080", "todo-backend-svc.project.svc",
		"traefik.kube-system", "kubernetes.default"} {
		for _, path := range []string{"/metrics", "/livez", "/api/rawdata"} {
			assert.Equal(t, http.StatusNotFound, ask("GET "+path, host), "%s for %s", path, host)
		}
	}

	var http2 http.Protocols
	http2.SetUnencryptedHTTP2(true)
	for scheme, transport := range map[string]*http.Transport{
		"http": {Protocols: &http2},
		// The controller has no certificate.
		"https": {TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true},
	} {
		client := http.Client{Transport: transport}
		for path, status := range map[string]int{"/": http.StatusOK, "/livez": http.StatusNotFound,
			"/metrics": http.StatusNotFound, "/todos/%2e%2e/livez": http.StatusNotFound} {
			response, err := client.Get(scheme + "://" + node + path)
			if assert.NoError(t, err) {
				response.Body.Close()
				assert.Equal(t, "HTTP/2.0 "+strconv.Itoa(status), fmt.Sprint(response.Proto, " ", response.StatusCode),
					"%s %s", scheme, path)
			}
		}
	}
}
