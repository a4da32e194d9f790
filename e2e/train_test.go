package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TRAIN_KILLS is the number of kills, by default one of each kind; TRAIN_SEED repeats a sequence.
func TestTrainGoesOnAfterRandomKills(t *testing.T) {
	c := newLane(t, exercises)
	random := newRandom(t, "TRAIN")
	kills := map[string]func(pod string){
		"delete pod":       c.deletePod,
		"kill redis":       func(pod string) { c.killAndReplace(pod, "redis-server") },
		"kill redisfiller": func(pod string) { c.killAndReplace(pod, "redisfiller") },
		"cut the power":    c.cutPower,
	}
	names := []string{"delete pod", "kill redis", "kill redisfiller", "cut the power"}

	ride := c.board()
	for i := range number(t, "TRAIN_KILLS", uint64(len(names))) {
		name, pod := names[i%uint64(len(names))], redisPods[random.IntN(len(redisPods))]
		t.Logf("%d: %s %s", i+1, name, pod)
		kills[name](pod)
		ride.goesOn()
	}
}

// cutPower kills Redis as a power cut does: some file systems then have zeros where a write was under way.
func (c *cluster) cutPower(pod string) {
	c.t.Helper()
	const server = "redis-server"
	process := c.process(pod, server)
	require.NoError(c.t, syscall.Kill(process, syscall.SIGSTOP))
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/data/appendonlydir/*.incr.aof", process))
	require.NoError(c.t, err)
	require.NotEmpty(c.t, files)
	for _, name := range files {
		file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(c.t, err)
		_, err = file.Write(bytes.Repeat([]byte{0}, 5000))
		require.NoError(c.t, err)
		require.NoError(c.t, file.Close())
	}
	c.killAndReplace(pod, server)
}
