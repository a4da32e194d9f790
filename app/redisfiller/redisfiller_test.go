package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests run redisfiller as a process of its own beside a real redis-server, and read its log.

const (
	password = `pass "word" \n 'with' $igns`
	patience = 20 * time.Second
)

// TestMain makes the test binary run as redisfiller if REDISFILLER_PROCESS says so.
func TestMain(m *testing.M) {
	if os.Getenv("REDISFILLER_PROCESS") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestStartsBeforeRedis(t *testing.T) {
	server := newRedis(t)
	f := startFiller(t, server)
	f.waitFor("the train waits.*Redis does not answer")
	f.waitUntilReady(http.StatusServiceUnavailable)

	server.start()
	f.waitFor("the train goes on")
	f.waitForTrains(3)
	f.waitUntilReady(http.StatusOK)
	assert.Equal(t, []train{{1, right}, {2, right}, {3, right}}, f.trains()[:3])
	assert.Equal(t, 1, f.count("the train waits"), "logged once, not with each attempt:\n%s", f.text())
	assert.Equal(t, 1, f.count(`msg="new train"`))
}

func TestGoesOnAfterRedisWasKilled(t *testing.T) {
	server := newRedis(t)
	server.start()
	f := startFiller(t, server)
	f.waitForTrains(4)

	server.kill()
	f.waitFor("the train waits.*Redis does not answer")
	server.start()
	f.waitFor("the train goes on")
	f.waitForTrains(len(f.trains()) + 3)
	assertGoesOn(t, f.trains())
}

func TestGoesOnAfterItWasKilled(t *testing.T) {
	server := newRedis(t)
	server.start()
	first := startFiller(t, server)
	first.waitForTrains(4)
	first.stop(syscall.SIGKILL)

	second := startFiller(t, server)
	second.waitForTrains(3)
	assertGoesOn(t, append(first.trains(), second.trains()...))
}

func TestStopsOnSIGTERM(t *testing.T) {
	server := newRedis(t)
	server.start()
	f := startFiller(t, server)
	f.waitForTrains(2)
	state := f.stop(syscall.SIGTERM)
	assert.Equal(t, 0, state.ExitCode(), f.text())
	assert.Equal(t, 1, f.count("msg=stopped"))
}

func TestWaitsWhileRedisLoadsItsData(t *testing.T) {
	server := newRedis(t)
	server.start()
	server.set(train{20, left})
	pipe := server.client.Pipeline()
	for i := range 20_000 {
		pipe.Set(t.Context(), fmt.Sprint("ballast", i), i, 0)
	}
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	server.kill()

	// Microseconds for each of the 20,000 keys; Redis answers every 1024 keys while it loads.
	server.start("--key-load-delay", "300")
	_, _, err = store{server.client}.load(t.Context())
	assert.True(t, redis.IsLoadingError(err), "a train that is not loaded yet is not missing: %v", err)
	f := startFiller(t, server)
	f.waitFor("the train waits.*still loading")
	f.waitForTrains(2)
	assert.Equal(t, []train{{19, left}, {18, left}}, f.trains()[:2])
}

func TestSaysThatThePasswordIsWrong(t *testing.T) {
	server := newRedis(t)
	server.start()
	server.set(train{9, right})
	server.writePassword("wrong")
	f := startFiller(t, server)
	f.waitFor("the train waits.*Redis refuses the password.*requirepass.*WRONGPASS")
	f.waitUntilReady(http.StatusServiceUnavailable)

	server.writePassword(password + "\n")
	f.waitForTrains(1)
	assert.Equal(t, train{10, right}, f.trains()[0])
}

func TestSaysThatThePasswordFileIsMissing(t *testing.T) {
	server := newRedis(t)
	server.start()
	require.NoError(t, os.Remove(server.passwordFile))
	f := startFiller(t, server)
	f.waitFor("the train waits.*the password cannot be read.*no such file")
}

func TestKeepsWhatIsNoTrainUntilItIsCorrected(t *testing.T) {
	server := newRedis(t)
	server.start()
	ctx := t.Context()

	require.NoError(t, server.client.Set(ctx, key, "a text", 0).Err())
	f := startFiller(t, server)
	f.waitFor("the train waits.*no usable train.*redis-cli HSET train.*WRONGTYPE")
	assert.Equal(t, "a text", server.client.Get(ctx, key).Val())
	f.stop(syscall.SIGTERM)

	require.NoError(t, server.client.Del(ctx, key).Err())
	require.NoError(t, server.client.HSet(ctx, key, "position", 99, "direction", "left").Err())
	f = startFiller(t, server)
	f.waitFor("the train waits.*no usable train.*99.* is not a whole number from 1 to 31")
	assert.Equal(t, map[string]string{"position": "99", "direction": "left"}, server.client.HGetAll(ctx, key).Val())

	server.set(train{30, right})
	f.waitForTrains(2)
	assert.Equal(t, []train{{31, right}, {30, left}}, f.trains()[:2])
}

func TestSaysThatThePortIsTaken(t *testing.T) {
	server := newRedis(t)
	server.start()
	f := startFiller(t, server, "PORT="+server.port)
	f.waitFor("level=ERROR msg=stopped.*listen on port.*choose another with PORT.*address already in use")
	assert.Equal(t, 1, f.stop(syscall.SIGKILL).ExitCode())
}

// assertGoesOn checks that each train is one step from the one before it, or that at most one step between them went
// unlogged: a kill may come between a write and its log line.
func assertGoesOn(t *testing.T, trains []train) {
	t.Helper()
	for i := 1; i < len(trains); i++ {
		next := trains[i-1].step()
		assert.Contains(t, []train{next, next.step()}, trains[i], "after %v in %v", trains[i-1], trains)
	}
}

// redisServer is a redis-server process with a password and an append-only file.
type redisServer struct {
	t            *testing.T
	dir          string
	port         string
	passwordFile string
	client       *redis.Client
	process      *exec.Cmd
}

func newRedis(t *testing.T) *redisServer {
	dir := t.TempDir()
	r := &redisServer{t: t, dir: dir, port: freePort(t), passwordFile: filepath.Join(dir, "password")}
	r.writePassword(password + "\n")
	r.client = redis.NewClient(&redis.Options{Addr: "localhost:" + r.port, Password: password, MaxRetries: -1})
	t.Cleanup(func() { r.client.Close() })
	return r
}

func (r *redisServer) start(arguments ...string) {
	r.t.Helper()
	r.process = exec.Command(serverBinary(r.t))
	r.process.Args = append([]string{
		"redis-server", "--port", r.port, "--dir", r.dir, "--requirepass", password, "--appendonly", "yes",
	}, arguments...)
	require.NoError(r.t, r.process.Start())
	r.t.Cleanup(r.kill)
	require.Eventually(r.t, func() bool {
		err := r.client.Ping(context.Background()).Err()
		return err == nil || redis.IsLoadingError(err)
	}, patience, 20*time.Millisecond, "redis-server does not answer")
}

// serverBinary is the server on PATH, or the same program under the name that Debian's redis-tools gives it.
func serverBinary(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"redis-server", "redis-check-rdb"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("these tests need a Redis server: make test installs redis-tools on Debian and Ubuntu")
	return ""
}

func (r *redisServer) kill() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}

func (r *redisServer) set(t train) {
	r.t.Helper()
	require.NoError(r.t, store{r.client}.save(r.t.Context(), t))
}

func (r *redisServer) writePassword(password string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.passwordFile, []byte(password), 0o600))
}

// fillerProcess is a running redisfiller and what it has logged so far.
type fillerProcess struct {
	t       *testing.T
	port    string
	process *exec.Cmd
	logged  chan struct{} // closed at the end of the log

	mu    sync.Mutex
	lines []string
}

func startFiller(t *testing.T, server *redisServer, env ...string) *fillerProcess {
	t.Helper()
	f := &fillerProcess{t: t, port: freePort(t), logged: make(chan struct{})}
	f.process = exec.Command(os.Args[0])
	f.process.Env = append(os.Environ(), "REDISFILLER_PROCESS=1", "REDIS_ADDR=localhost:"+server.port,
		"REDIS_PASSWORD_FILE="+server.passwordFile, "PORT="+f.port)
	f.process.Env = append(f.process.Env, env...)
	log, err := f.process.StdoutPipe()
	require.NoError(t, err)
	f.process.Stderr = os.Stderr
	require.NoError(t, f.process.Start())
	go func() {
		defer close(f.logged)
		for scanner := bufio.NewScanner(log); scanner.Scan(); {
			f.mu.Lock()
			f.lines = append(f.lines, scanner.Text())
			f.mu.Unlock()
		}
	}()
	t.Cleanup(func() { f.stop(syscall.SIGKILL) })
	return f
}

// stop sends a signal and waits for the end of process and log.
func (f *fillerProcess) stop(signal syscall.Signal) *os.ProcessState {
	_ = f.process.Process.Signal(signal)
	<-f.logged
	_ = f.process.Wait()
	return f.process.ProcessState
}

func (f *fillerProcess) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.lines, "\n")
}

// count is the number of lines that match a regular expression.
func (f *fillerProcess) count(pattern string) int {
	return len(regexp.MustCompile("(?m)^.*"+pattern).FindAllString(f.text(), -1))
}

func (f *fillerProcess) trains() []train {
	f.t.Helper()
	line := regexp.MustCompile(`rail=[-<>]{31} position=(\d+) direction=(left|right)`)
	var trains []train
	for _, match := range line.FindAllStringSubmatch(f.text(), -1) {
		parsed, err := parseTrain(match[1], match[2])
		require.NoError(f.t, err)
		trains = append(trains, parsed)
	}
	return trains
}

func (f *fillerProcess) waitFor(pattern string) {
	f.t.Helper()
	f.eventually(func() bool { return f.count(pattern) > 0 }, "no line matches "+pattern)
}

func (f *fillerProcess) waitForTrains(n int) {
	f.t.Helper()
	f.eventually(func() bool { return len(f.trains()) >= n }, fmt.Sprintf("fewer than %d trains", n))
}

// waitUntilReady waits for a status of GET /readyz, with GET /livez answering 200 all the while.
func (f *fillerProcess) waitUntilReady(status int) {
	f.t.Helper()
	f.eventually(func() bool { return f.get("/readyz") == status }, fmt.Sprintf("/readyz does not answer %d", status))
	assert.Equal(f.t, http.StatusOK, f.get("/livez"))
}

// get is the status of a GET, or 0 if nothing answers.
func (f *fillerProcess) get(path string) int {
	response, err := http.Get("http://localhost:" + f.port + path)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

func (f *fillerProcess) eventually(condition func() bool, message string) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			require.FailNow(f.t, message, f.text())
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}
