package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/apptest"
	"github.com/stateful-k3s/stateful-k3s/app/internal/storagetest"
)

// The test binary is the app too.
func TestMain(m *testing.M) { apptest.Main(m, main) }

// The server exits immediately, and its last line says what is wrong.
func TestRefusesSettings(t *testing.T) {
	server := storagetest.Start(t, "project")
	folder := func(names ...string) string {
		dir := t.TempDir()
		for _, name := range names {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.Trim(name, "-")), 0o600))
		}
		return dir
	}
	empty := folder("project")
	require.NoError(t, os.Truncate(filepath.Join(empty, "project"), 0))
	for setting, want := range map[string]string{
		"DATA_DIR=":                              "DATA_DIR is not set",
		"ACCOUNTS_DIR=":                          "ACCOUNTS_DIR is not set",
		"CERT_FILE=":                             "CERT_FILE is not set",
		"KEY_FILE=":                              "KEY_FILE is not set",
		"DATA_DIR=/nowhere":                      "no such file or directory",
		"DATA_DIR=/proc":                         "xattrs are not supported on this filesystem; choose",
		"BUCKET=../accounts":                     "cannot contain path separators",
		"ACCOUNTS_DIR=/nowhere":                  "read ACCOUNTS_DIR",
		"ACCOUNTS_DIR=" + folder():               "holds no account",
		"ACCOUNTS_DIR=" + folder("..data"):       "holds no account",
		"ACCOUNTS_DIR=" + folder("project", "*"): `\"*\" is no name of an account`,
		"ACCOUNTS_DIR=" + folder("a?c"):          `\"a?c\" is no name of an account`,
		"ACCOUNTS_DIR=" + folder("-project"):     `\"-project\" is no name of an account`,
		"ACCOUNTS_DIR=" + folder("OWNER"):        `\"OWNER\" is no name of an account`,
		"ACCOUNTS_DIR=" + empty:                  "the secret key of account project is empty",
		"CERT_FILE=/nowhere":                     "load CERT_FILE and KEY_FILE",
		"KEY_FILE=" + server.CAFile():            "load CERT_FILE and KEY_FILE",
		"PORT=" + strings.TrimPrefix(server.Addr(), "127.0.0.1:"): "address already in use",
	} {
		t.Run(setting, func(t *testing.T) {
			p := apptest.Start(t, append(server.Settings(), "PORT=0", "METRICS_PORT=0", setting)...)
			assert.Equal(t, 1, p.Wait().ExitCode())
			lines := strings.Split(strings.TrimSpace(p.Logged()), "\n")
			assert.Contains(t, lines[len(lines)-1], want)
		})
	}
}

// A mounted Secret has folders beside the links to its files.
func TestAccountsOfAMountedSecret(t *testing.T) {
	server := storagetest.Start(t, "project")
	mounted := t.TempDir()
	require.NoError(t, os.Rename(server.AccountsDir(), filepath.Join(mounted, "..2026")))
	require.NoError(t, os.Symlink("..2026", filepath.Join(mounted, "..data")))
	require.NoError(t, os.Symlink("..data/project", filepath.Join(mounted, "project")))
	require.NoError(t, os.Rename(mounted, server.AccountsDir()))
	server.Kill()
	server.Restart()
	put(t, server.Client("project"), "project/a", "content")
}

func TestStops(t *testing.T) {
	server := storagetest.Start(t, "project")
	client := server.Client("project") // keeps its connection
	server.Kill()
	p := apptest.Start(t, server.Settings()...)
	p.Eventually(func() bool {
		_, err := list(t.Context(), client, "project/")
		return err == nil
	})
	assert.True(t, p.Stop(syscall.SIGTERM).Success(), p.Logged())
}

func TestLogsWhatChangesAndWhatFails(t *testing.T) {
	server := storagetest.Start(t, "exercises", "project")
	server.Kill()
	p := apptest.Start(t, server.Settings()...)
	client := server.Client("project")
	p.Eventually(func() bool {
		_, err := list(t.Context(), client, "project/")
		return err == nil
	})
	put(t, client, "project/a", "content")
	requireContent(t, client, "project/a", "content")
	_, err := get(t.Context(), server.Client("exercises"), "project/a")
	require.Equal(t, "AccessDenied", code(err))
	p.Stop(syscall.SIGTERM)

	log := p.Logged()
	assert.Regexp(t, `msg=request account=project method=PUT url=/backups/project/a status=200 duration=`, log)
	assert.Regexp(t, `msg=request account=exercises method=GET url=/backups/project/a status=403 duration=`, log)
	assert.Equal(t, 2, strings.Count(log, "msg=request"), log)
	assert.NotContains(t, log, server.SecretKey("project"))
}
