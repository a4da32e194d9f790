package main

import (
	"crypto/tls"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
)

// step is a request that a run sends to the store.
type step struct {
	name, method, path, query string
	// fails is the message if there is no answer.
	fails string
}

var readingBack = step{"reading back", "GET", "/dump", "", "restore the dump"}

var steps = []step{
	{"beginning the upload", "POST", "/dump", "uploads=", "store the dump"},
	{"uploading", "PUT", "/dump", "partNumber=", "store the dump"},
	{"completing the upload", "POST", "/dump", "uploadId=", "store the dump"},
	readingBack,
	{"storing the manifest", "PUT", "/manifest.json", "", "store the manifest"},
}

func (s step) is(r *http.Request) bool {
	return r.Method == s.method && strings.HasSuffix(r.URL.Path, s.path) &&
		strings.Contains(r.URL.RawQuery, s.query)
}

// gate forwards requests of a run to the store. It closes at the first request of a step.
type gate struct {
	step    step
	reached chan struct{} // closed then
	open    chan struct{} // requests wait until it is closed, unless they are cut
	ended   chan struct{}
	cut     atomic.Bool
	server  *httptest.Server
	first   sync.Once
}

func (s *system) newGate(closesAt step) *gate {
	g := &gate{step: closesAt, reached: make(chan struct{}), open: make(chan struct{}),
		ended: make(chan struct{})}
	g.server = s.newProxy(func(w http.ResponseWriter, r *http.Request, store http.Handler) {
		if g.step.is(r) {
			g.first.Do(func() { close(g.reached) })
		}
		select {
		case <-g.reached:
			if g.cut.Load() {
				panic(http.ErrAbortHandler)
			}
			select {
			case <-g.open:
			case <-g.ended:
				return
			}
		default:
		}
		store.ServeHTTP(w, r)
	})
	s.t.Cleanup(func() { close(g.ended) })
	return g
}

// newProxy starts a server between runs and the store.
func (s *system) newProxy(
	handle func(w http.ResponseWriter, r *http.Request, store http.Handler),
) *httptest.Server {
	endpoint, err := url.Parse(s.store.Endpoint())
	require.NoError(s.t, err)
	store := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(endpoint)
			r.Out.Host = r.In.Host // which the request's signature covers
		},
		Transport: s.store.HTTPClient().Transport,
	}
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(w, r, store)
	}))
	proxy.TLS = &tls.Config{Certificates: []tls.Certificate{s.store.Certificate()}}
	proxy.StartTLS()
	s.t.Cleanup(func() {
		proxy.CloseClientConnections()
		proxy.Close()
	})
	return proxy
}

// endpoint returns the setting that sends requests through the gate.
func (g *gate) endpoint() string { return "S3_ENDPOINT=" + g.server.URL }

// oneMegabyte inserts rows that compress to half.
const oneMegabyte = `INSERT INTO cache SELECT min(random())::text, string_agg(md5(random()::text), '')
	FROM generate_series(1, 30000) n GROUP BY n % 1000`

func TestTheStoreGoesAway(t *testing.T) {
	s := start(t)
	runs := make([]*apptest.Process, len(steps))
	for i, step := range steps {
		gate := s.newGate(step)
		gate.cut.Store(true)
		runs[i] = s.begin("run", gate.endpoint())
	}
	for i, step := range steps {
		runs[i].Wait()
		s.hasFailed(runs[i], "no backup: "+step.fails)
	}
	s.isClean()
	assert.Empty(t, s.backups())
}

func TestTheStoreComesBack(t *testing.T) {
	s := start(t)
	for i, step := range steps {
		gate := s.newGate(step)
		p := s.begin("run", gate.endpoint(), "RETRY=1m")
		<-gate.reached
		s.store.Kill()
		s.store.Restart()
		close(gate.open)
		require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
		assert.Len(t, s.backups(), i+1, step.name)
	}
	assert.Contains(t, s.succeed("verify --all"), "restored and compared")
}

func TestTheDatabaseRestarts(t *testing.T) {
	s := start(t)
	gate := s.newGate(steps[1])
	p := s.begin("run", gate.endpoint(), "RETRY=1m")
	<-gate.reached
	s.db.Kill()
	s.db.Restart()
	close(gate.open)
	require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
	assert.Contains(t, p.Logged(), "trying again")
	assert.Len(t, s.backups(), 1)
	assert.Contains(t, s.succeed("verify"), "restored and compared")

	s.db.Kill()
	s.fail("run", []string{"no backup: take a snapshot of the database", "connection refused"})
	p = s.begin("run", "RETRY=1m")
	p.Eventually(func() bool { return p.Logged() != "" })
	s.db.Restart()
	require.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
	assert.Len(t, s.backups(), 2)
}

// The remains of a killed run are no backup, do not disturb other runs, and are swept when they are old.
func TestARunIsKilled(t *testing.T) {
	s := start(t)
	for _, step := range steps {
		gate := s.newGate(step)
		p := s.begin("run", gate.endpoint())
		<-gate.reached
		p.Stop(syscall.SIGKILL)
		assert.Empty(t, s.backups(), step.name)
		s.areServersIdle() // they end with it
	}
	for range 10 {
		p := s.begin("run")
		time.Sleep(rand.N(time.Second))
		p.Stop(syscall.SIGKILL)
	}
	finished := s.backups() // by runs that were faster
	s.renewPod()
	for _, name := range append(finished, s.backup()) {
		assert.Contains(t, s.succeed("verify "+name), "verified "+name)
	}
	kept := s.backups()
	left := func() (names []string) {
		found, err := filepath.Glob(s.object("*", "dump"))
		require.NoError(t, err)
		return found
	}
	before := left()
	require.Greater(t, len(before), len(kept), "some had stored their dumps")
	s.succeed("prune")
	assert.Equal(t, before, left(), "they may be of runs that go on")

	yesterday := time.Now().Add(-25 * time.Hour)
	require.NoError(t, filepath.WalkDir(s.store.DataDir(), func(path string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		return os.Chtimes(path, yesterday, yesterday)
	}))
	log := s.succeed("prune")
	assert.Contains(t, log, "msg=swept")
	assert.Len(t, left(), len(kept))
	assert.Equal(t, kept, s.backups())
	uploads, err := filepath.Glob(filepath.Join(s.store.DataDir(), "*", ".sgwtmp", "multipart", "*", "*"))
	require.NoError(t, err)
	assert.Empty(t, uploads, "nor is anything left of uploads")
}

func TestAFullDisk(t *testing.T) {
	s := start(t)
	s.fail("run", []string{"no backup: start the throwaway server", "No space left on device"}, "SERVER_DIR="+
		s.serveIn(s.tree.Disk(10<<20)))
	for range 60 {
		s.db.Exec(oneMegabyte)
	}
	s.fail("run", []string{"no backup: restore the dump", "No space left on device"}, "SERVER_DIR="+
		s.serveIn(s.tree.Disk(90<<20)))
	assert.Empty(t, s.backups())
	s.backup("SERVER_DIR=" + s.serveIn(s.tree.Disk(400<<20)))
}

func TestAFullStore(t *testing.T) {
	s := start(t)
	s.store.Kill()
	require.NoError(t, syscall.Mount("tmpfs", s.store.DataDir(), "tmpfs", 0, "size=3m"))
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(s.store.DataDir(), syscall.MNT_DETACH)) })
	s.store.Restart()
	s.db.Exec(oneMegabyte)
	keep := []string{"KEEP_DAILY=2", "KEEP_WEEKLY=0", "KEEP_MONTHLY=0"}
	newest := s.backup()
	for days := range 2 {
		s.age(newest, time.Duration(1+days)*24*time.Hour)
	}
	for range 2 {
		s.db.Exec(oneMegabyte)
	}
	s.fail("run", []string{"no backup: store the dump", "if the store is full", "KEEP_MONTHLY=1 backup prune"},
		keep...)
	assert.Len(t, s.backups(), 2, "what had expired is gone")
}
