package manifest_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/backup/manifest"
	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

func example() manifest.Manifest {
	started := time.Date(2026, 11, 22, 2, 0, 0, 123, time.UTC)
	return manifest.Manifest{
		Version: manifest.Version, Name: "20261122T020001Z-1a2b3c", Database: "pingpong",
		Server: "17.11", Client: "17.11", Started: started, Verified: started.Add(7 * time.Second),
		Dump:    manifest.Dump{Size: 1234, SHA256: hash("dump"), Recipient: "age1xyz"},
		Content: content(), System: "7711158423862165527",
	}
}

func TestManifest(t *testing.T) {
	m := example()
	stored, err := m.Encode()
	require.NoError(t, err)
	read, err := manifest.Decode(stored, m.Name)
	require.NoError(t, err)
	assert.Equal(t, m, read)
	assert.Equal(t, 7*time.Second, read.Duration())

	_, err = manifest.Decode(stored, "20261122T020001Z-000000")
	assert.ErrorContains(t, err, "it belongs to 20261122T020001Z-1a2b3c")
	m.Version++
	newer, err := m.Encode()
	require.NoError(t, err)
	_, err = manifest.Decode(newer, m.Name)
	assert.ErrorContains(t, err, "version 2, which this program does not know")
}

// Every other value of every byte, and every shorter text.
func TestChangedManifestsAreRefused(t *testing.T) {
	stored, err := example().Encode()
	require.NoError(t, err)
	for i, original := range stored {
		for value := range 256 {
			if byte(value) == original {
				continue
			}
			stored[i] = byte(value)
			if _, err := manifest.Decode(stored, example().Name); err == nil {
				assert.Fail(t, "accepted", "%q", stored)
			}
		}
		stored[i] = original
		_, err := manifest.Decode(stored[:i], example().Name)
		assert.Error(t, err, i)
	}
	_, err = manifest.Decode(append(stored, '\n'), example().Name)
	assert.Error(t, err)
}

func TestTheServerOfABackup(t *testing.T) {
	made := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	server := strconv.FormatInt(made.Unix()<<32|4711, 10)
	assert.True(t, manifest.Manifest{System: server}.IsFrom(server))
	assert.False(t, manifest.Manifest{System: "7711158423862165527"}.IsFrom(server))
	for taken, is := range map[time.Time]bool{made.Add(-time.Second): false, made: true,
		made.AddDate(1, 0, 0): true} {
		assert.Equal(t, is, manifest.Manifest{Name: restorepoint.NewBackup(taken)}.IsFrom(server),
			"an old manifest of %s",
			taken)
	}
}

func TestBackupsOfTheFuture(t *testing.T) {
	now := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	yesterday, soon := restorepoint.NewBackup(now.AddDate(0, 0, -1)),
		restorepoint.NewBackup(now.Add(time.Minute))
	all := []string{yesterday, soon, restorepoint.NewBackup(now.AddDate(4, 0, 0))}
	assert.Equal(t, all[:2], manifest.WithoutFuture(all, now))
	assert.Equal(t, all, manifest.WithoutFuture(all, now.AddDate(-1, 0, 0)), "this clock is wrong")
	assert.Empty(t, manifest.WithoutFuture(nil, now))
}
