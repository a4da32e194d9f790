package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
	"github.com/stateful-k3s/stateful-k3s/internal/load"
)

func TestAnswers(t *testing.T) {
	server := postgrestest.Start(t)
	p := startProcess(t, "URL="+server.URL())
	p.WaitUntilReady(http.StatusOK)
	for _, test := range []struct {
		method, path string
		status       int
		contentType  string
		body         string
	}{
		{"GET", "/pings", 200, "application/json", `{"pings": 0}`},
		{"GET", "/pingpong", 200, "text/plain; charset=utf-8", "pong 0"},
		{"HEAD", "/pingpong", 200, "text/plain; charset=utf-8", ""},
		{"GET", "/pingpong", 200, "text/plain; charset=utf-8", "pong 1"},
		{"GET", "/pings", 200, "application/json", `{"pings": 2}`},
		{"POST", "/pingpong", 405, "application/problem+json", `{"title":"Method Not Allowed","status":405}` +
			"\n"},
		{"GET", "/", 404, "application/problem+json", `{"title":"Not Found","status":404}` + "\n"},
		{"GET", "/metrics", 404, "application/problem+json", `{"title":"Not Found","status":404}` + "\n"},
		{"GET", "/pings", 200, "application/json", `{"pings": 2}`},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, p.URL(test.path), nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		require.NoError(t, err)
		what := test.method + " " + test.path
		assert.Equal(t, test.status, response.StatusCode, what)
		assert.Equal(t, test.contentType, response.Header.Get("Content-Type"), what)
		assert.Equal(t, "no-store", response.Header.Get("Cache-Control"), what)
		assert.Equal(t, test.body, string(body), what)
		if test.status == http.StatusMethodNotAllowed {
			assert.Equal(t, "GET, HEAD", response.Header.Get("Allow"), what)
		}
	}

	response, err := http.Get("http://localhost:" + p.MetricsPort + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	for _, line := range []string{
		`http_request_duration_seconds_count{route="GET /pingpong",status="200"} 2`,
		`http_request_duration_seconds_count{route="",status="404"} 2`,
		"pingpong_batch_pings_sum 2",
		"pingpong_sessions_total 1",
		"pingpong_waiting_pings 0",
	} {
		assert.Contains(t, string(metrics), line+"\n")
	}
}

func TestDatabaseComesAndGoes(t *testing.T) {
	server := postgrestest.Start(t)
	server.Kill()
	p := startProcess(t, "URL="+server.URL())
	p.WaitUntilReady(http.StatusServiceUnavailable)
	for _, path := range []string{"/pingpong", "/pings"} {
		response, err := http.Get(p.URL(path))
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		require.NoError(t, err)
		assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode, path)
		assert.Equal(t, "1", response.Header.Get("Retry-After"), path)
		assert.Equal(t, `{"title":"Service Unavailable","status":503,"detail":"the database is away"}`+"\n",
			string(body), path)
	}
	server.Restart()
	p.WaitUntilReady(http.StatusOK)
	assert.Equal(t, int64(0), p.ping())
	server.Kill()
	p.WaitUntilReady(http.StatusServiceUnavailable)
	server.Restart()
	p.WaitUntilReady(http.StatusOK)
	assert.Equal(t, int64(1), p.ping())
}

// A running process makes the tables again if they are lost.
func TestDatabaseIsLost(t *testing.T) {
	server := postgrestest.Start(t)
	p := startProcess(t, "URL="+server.URL())
	p.WaitUntilReady(http.StatusOK)
	assert.Equal(t, int64(0), p.ping())
	server.Exec(`DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	p.WaitUntilReady(http.StatusServiceUnavailable)
	p.WaitUntilReady(http.StatusOK)
	assert.Equal(t, int64(0), p.ping())
	server.Exec(`DROP TABLE counter`)
	p.WaitUntilReady(http.StatusServiceUnavailable)
}

func TestPasswordChanges(t *testing.T) {
	server := postgrestest.Start(t)
	file := filepath.Join(t.TempDir(), "URL")
	require.NoError(t, os.WriteFile(file, []byte(server.URL()+"\n"), 0o600))
	p := startProcess(t, "URL_FILE="+file)
	p.WaitUntilReady(http.StatusOK)
	assert.Equal(t, int64(0), p.ping())

	server.SetPassword("battery-staple")
	server.Kill()
	server.Restart()
	p.Eventually(func() bool {
		status, _ := p.Get("/readyz")
		return status == http.StatusServiceUnavailable
	})
	require.NoError(t, os.WriteFile(file, []byte(server.URL()+"\n"), 0o600))
	p.WaitUntilReady(http.StatusOK)
	assert.Equal(t, int64(1), p.ping())
	assert.NotContains(t, p.Logged(), "battery-staple")
	assert.NotContains(t, p.Logged(), "correct-horse")
}

// After SIGTERM a process keeps counting until its clients have gone, and loses no request.
func TestStopUnderLoadLosesNoRequest(t *testing.T) {
	server := postgrestest.Start(t)
	first, second := startProcess(t, "URL="+server.URL()), startProcess(t, "URL="+server.URL())
	first.WaitUntilReady(http.StatusOK)
	second.WaitUntilReady(http.StatusOK)

	var clients sync.WaitGroup
	counts := make(chan int64, 8)
	stopping := make(chan struct{})
	for range cap(counts) {
		clients.Go(func() {
			to := first
			client := first.Client()
			acknowledged := int64(0)
			for seen := 0; seen < 100; { // on the second
				if to == first {
					select {
					case <-stopping: // a Service no longer sends requests to the pod
						client.Close()
						to, client = second, second.Client()
					default:
					}
				} else {
					seen++
				}
				status, body, err := client.Get(t.Context(), "/pingpong")
				if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, status, string(body)) {
					return
				}
				acknowledged++
			}
			counts <- acknowledged
		})
	}
	first.Eventually(func() bool { return second.pings() > 100 })
	ended := make(chan *os.ProcessState, 1)
	go func() { ended <- first.Stop(syscall.SIGTERM) }()
	first.WaitUntilReady(http.StatusServiceUnavailable)
	close(stopping)
	clients.Wait()
	close(counts)
	assert.Zero(t, (<-ended).ExitCode(), first.Logged())

	total := int64(0)
	for count := range counts {
		total += count
	}
	assert.Equal(t, total, second.pings())
}

// While a process stops, every answer closes its connection, so none is cut in the middle of a request.
func TestStopClosesConnectionsAfterAnAnswer(t *testing.T) {
	server := postgrestest.Start(t)
	p := startProcess(t, "URL="+server.URL())
	p.WaitUntilReady(http.StatusOK)
	go p.Stop(syscall.SIGTERM)
	p.WaitUntilReady(http.StatusServiceUnavailable)
	response, err := http.Get(p.URL("/pingpong"))
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
	assert.True(t, response.Close)
}

// A request that waits for the database at SIGTERM is answered.
func TestStopWaitsForTheDatabase(t *testing.T) {
	server := postgrestest.Start(t)
	p := startProcess(t, "URL="+server.URL())
	p.WaitUntilReady(http.StatusOK)
	unlock := server.Lock("counter")
	answered := make(chan int64, 1)
	go func() { answered <- p.ping() }()
	server.WaitForLock()
	ended := make(chan *os.ProcessState, 1)
	go func() { ended <- p.Stop(syscall.SIGTERM) }()
	// Once it no longer listens, it only finishes requests in progress.
	p.Eventually(func() bool {
		client := load.Client{Dial: p.Dial}
		defer client.Close()
		_, _, err := client.Get(t.Context(), "/livez")
		return errors.Is(err, load.ErrNotSent)
	})
	unlock()
	assert.Equal(t, int64(0), <-answered)
	assert.Zero(t, (<-ended).ExitCode(), p.Logged())
}

func TestUnusableSettings(t *testing.T) {
	for database, message := range map[string]string{
		"URL=":                       "neither URL nor URL_FILE is set; for example: URL=postgres://user:password@",
		"URL_FILE=/no/such/file":     "read URL_FILE: open /no/such/file: no such file or directory",
		"URL=postgres://u:secret@:x": "read the address of the database: ",
		"URL=http://u:secret@host/d": "read the address of the database: ",
	} {
		p := startProcess(t, database)
		assert.Equal(t, 1, p.Wait().ExitCode(), database)
		assert.Contains(t, p.Logged(), message)
		assert.NotContains(t, p.Logged(), "secret")
	}
}
