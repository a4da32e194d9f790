package main

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
)

// These tests run redisfiller as a process with a real redis-server, and read its log.

const (
	password = `pass "word" \n 'with' $igns`
	patience = 20 * time.Second
)

// The test binary is the app too.
func TestMain(m *testing.M) { apptest.Main(m, main) }

func TestStartsBeforeRedis(t *testing.T) {
	server := newRedis(t)
	f := startFiller(t, server)
	f.waitFor("the train waits.*Redis does not answer")
	f.WaitUntilReady(http.StatusServiceUnavailable)

	server.start()
	f.waitFor("the train goes on")
	f.waitForTrains(3)
	f.WaitUntilReady(http.StatusOK)
	assert.Equal(t, []train{{1, right}, {2, right}, {3, right}}, f.trains()[:3])
	assert.Equal(t, 1, f.count("the train waits"), "logged once, not with each attempt:\n%s", f.Logged())
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
	first.Stop(syscall.SIGKILL)

	second := startFiller(t, server)
	second.waitForTrains(3)
	assertGoesOn(t, append(first.trains(), second.trains()...))
}

func TestStopsOnSIGTERM(t *testing.T) {
	server := newRedis(t)
	server.start()
	f := startFiller(t, server)
	f.waitForTrains(2)
	state := f.Stop(syscall.SIGTERM)
	assert.Equal(t, 0, state.ExitCode(), f.Logged())
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
	f.WaitUntilReady(http.StatusServiceUnavailable)

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
	f.Stop(syscall.SIGTERM)

	require.NoError(t, server.client.Del(ctx, key).Err())
	require.NoError(t, server.client.HSet(ctx, key, "position", 99, "direction", "left").Err())
	f = startFiller(t, server)
	f.waitFor("the train waits.*no usable train.*99.* is not a whole number from 1 to 31")
	assert.Equal(t, map[string]string{"position": "99", "direction": "left"},
		server.client.HGetAll(ctx, key).Val())

	server.set(train{30, right})
	f.waitForTrains(2)
	assert.Equal(t, []train{{31, right}, {30, left}}, f.trains()[:2])
}

func TestSaysThatThePortIsTaken(t *testing.T) {
	server := newRedis(t)
	server.start()
	f := startFiller(t, server, "PORT="+server.port)
	f.waitFor("level=ERROR msg=stopped.*listen on port.*choose another with PORT.*address already in use")
	assert.Equal(t, 1, f.Stop(syscall.SIGKILL).ExitCode())
}

// assertGoesOn checks that each train is one step from the one before it, or that at most one step between
// them went unlogged: a kill may come between a write and its log line.
func assertGoesOn(t *testing.T, trains []train) {
	t.Helper()
	for i := 1; i < len(trains); i++ {
		next := trains[i-1].step()
		assert.Contains(t, []train{next, next.step()}, trains[i], "after %v in %v", trains[i-1], trains)
	}
}
