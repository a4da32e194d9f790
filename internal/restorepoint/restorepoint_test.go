package restorepoint_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/internal/restorepoint"
)

func TestBackupNames(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 3, 4, 0, time.FixedZone("", 7200))
	name := restorepoint.NewBackup(at)
	assert.NotEqual(t, name, restorepoint.NewBackup(at))
	parsed, err := restorepoint.BackupTime(name)
	require.NoError(t, err)
	assert.True(t, at.Equal(parsed))
	for _, bad := range []string{"", "latest", "20261122T020001Z", "20261322T020001Z-1a2b3c",
		"20261122T020001Z-1A2B3C", "x" + name, name + "x", "../" + name} {
		assert.False(t, restorepoint.IsBackup(bad), bad)
	}
}

func TestArchiveNames(t *testing.T) {
	for _, stanza := range []string{"7711158423862165527", "7711158423862165527-2",
		"7711158423862165527-1a2b3c4d", "7711158423862165527-2-1a2b3c4d"} {
		assert.Equal(t, stanza, restorepoint.ArchiveStanza(restorepoint.Archive(stanza)))
	}
	for _, bad := range []string{"", "end", "end-", "end-server", "end-7711-xyz", "end-7711-2-3", "7711"} {
		assert.Empty(t, restorepoint.ArchiveStanza(bad), bad)
	}
}
