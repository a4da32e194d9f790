package outcome

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestItIsOneLineOfJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "termination-log")
	t.Setenv("TERMINATION_LOG", file)
	left := func(o Outcome) string {
		o.Ended = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		o.WriteTerminationMessage()
		line, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(line)
	}
	made := Success("verified backup a: 3 tables")
	made.Backup = "a"
	assert.Equal(t, `{"ended":"2026-11-22T10:00:00Z","ok":true,"said":"verified backup a: 3 tables","backup":"a"}`+"\n", left(made))
	assert.Equal(t, `{"ended":"2026-11-22T10:00:00Z","ok":false,"said":"find an article:\n<\"302\">"}`+"\n",
		left(Failure(errors.New("find an article:\n<\"302\">"))))
}

func TestKubernetesCutsNothingOff(t *testing.T) {
	for _, said := range []string{strings.Repeat("é", 5000), strings.Repeat("\"\n", 5000)} {
		line, err := Failure(errors.New(said)).line()
		require.NoError(t, err)
		assert.LessOrEqual(t, len(line), 4096)
		var read Outcome
		require.NoError(t, json.Unmarshal(line, &read))
		assert.True(t, strings.HasSuffix(read.Said, "…"))
		assert.True(t, strings.HasPrefix(said, strings.TrimSuffix(read.Said, "…")))
	}
}

func TestWithoutAFileNothingIsLeft(t *testing.T) {
	t.Setenv("TERMINATION_LOG", "")
	Success("done").WriteTerminationMessage()
}
