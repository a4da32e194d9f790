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
	success := Success("verified backup a: 3 tables")
	success.Backup = "a"
	for want, o := range map[string]Outcome{
		`"ok":true,"said":"verified backup a: 3 tables","backup":"a"}`: success,
		`"ok":false,"said":"find an article:\n<\"302\">"}`: Failure(
			errors.New("find an article:\n<\"302\">")),
	} {
		file := filepath.Join(t.TempDir(), "termination-log")
		t.Setenv("TERMINATION_LOG", file)
		o.Ended = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		o.WriteTerminationMessage()
		line, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, `{"ended":"2026-11-22T10:00:00Z",`+want+"\n", string(line))
	}
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
