package statefulset

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParametersFollowFromMemoryAndStorage(t *testing.T) {
	for _, test := range []struct {
		memory, storage string
		// In the order of their names.
		effectiveCacheSize, maintenanceWorkMem, maxConnections, maxWALSize, minWALSize, sharedBuffers,
		workMem string
	}{
		{"64Mi", "256Mi", "49152kB", "4096kB", "20", "65536kB", "32768kB", "16384kB", "819kB"},
		{"128Mi", "256Mi", "98304kB", "8192kB", "32", "65536kB", "32768kB", "32768kB", "1024kB"},
		{"512Mi", "1Gi", "393216kB", "32768kB", "128", "262144kB", "65536kB", "131072kB", "1024kB"},
		{"512Mi", "10Gi", "393216kB", "32768kB", "128", "1048576kB", "262144kB", "131072kB", "1024kB"},
		{"64Gi", "1Ti", "50331648kB", "1048576kB", "500", "16777216kB", "4194304kB", "16777216kB", "33554kB"},
	} {
		memory, err := parseBytes("memory", test.memory)
		require.NoError(t, err)
		storage, err := parseBytes("storage", test.storage)
		require.NoError(t, err)
		require.Equal(t, Parameters{
			"effective_cache_size": test.effectiveCacheSize,
			"maintenance_work_mem": test.maintenanceWorkMem,
			"max_connections":      test.maxConnections,
			"max_wal_size":         test.maxWALSize,
			"min_wal_size":         test.minWALSize,
			"shared_buffers":       test.sharedBuffers,
			"work_mem":             test.workMem,
		}, sizedParameters(memory, storage), "%s of memory, %s of storage", test.memory, test.storage)
	}
}

func TestConfigurationFile(t *testing.T) {
	args := Args{Settings: Settings{Memory: "512Mi", StorageSize: "1Gi", Parameters: Parameters{
		"work_mem": "8MB", "my_extension.name": `it's a \ `,
	}}}
	config, err := args.serverConfig()
	require.NoError(t, err)
	golden, err := os.ReadFile("testdata/postgresql.conf")
	require.NoError(t, err)
	require.Equal(t, string(golden), config)
}

func TestParseParameters(t *testing.T) {
	for text, expected := range map[string]Parameters{
		"":             {},
		" ; ":          {},
		"work_mem=8MB": {"work_mem": "8MB"},
		"work_mem = 8MB; pg_stat_statements.max=100;search_path=a, b;log_line_prefix=%m = %p;": {
			"work_mem": "8MB", "pg_stat_statements.max": "100", "search_path": "a, b", "log_line_prefix": "%m = %p",
		},
	} {
		parameters, err := ParseParameters(text)
		require.NoError(t, err, text)
		require.Equal(t, expected, parameters, text)
	}
	for text, message := range map[string]string{
		"work_mem":                `"work_mem" has no value`,
		"work_mem=8MB;work_mem=":  `work_mem is set twice`,
		"Work_Mem=8MB":            `"Work_Mem" is not a parameter's name, in small letters`,
		"=8MB":                    `"" is not a parameter's name, in small letters`,
		"a.b.c=1":                 `"a.b.c" is not a parameter's name, in small letters`,
		"work_mem=8MB\nport=1":    `work_mem has a control character in its value`,
		"listen_addresses=":       `listen_addresses is not yours to set`,
		"ssl=off":                 `ssl is not yours to set`,
		"password_encryption=md5": `password_encryption is not yours to set`,
		"hba_file=/data/x":        `hba_file is not yours to set`,
		"config_file=/data/x":     `config_file is not yours to set`,
		"include=/data/x":         `include is not yours to set`,
	} {
		_, err := ParseParameters(text)
		require.EqualError(t, err, message, text)
	}
}

// Parameters may set nothing that postgresql.conf sets.
func TestEveryLineOfTheConfigurationIsItsOwn(t *testing.T) {
	own := 0
	for line := range strings.Lines(ownParameters) {
		if name, _, found := strings.Cut(line, " = "); found {
			own++
			require.Error(t, Parameters{name: "x"}.check(), name)
		}
	}
	require.Equal(t, 14, own)
}
