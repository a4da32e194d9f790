package main

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stateful-k3s/stateful-k3s/app/internal/postgrestest"
)

func TestRestoreFromARecoveredServer(t *testing.T) {
	s := start(t)
	recovered := postgrestest.StartIn(t, s.tree)
	sample, err := os.ReadFile("testdata/sample.sql")
	require.NoError(t, err)
	recovered.As("postgres").Exec(string(sample))
	const all = `SELECT string_agg(a::text || e::text, ' ' ORDER BY e.id)
		FROM account a JOIN entry e ON account = a.id`
	s.db.Exec(`UPDATE account SET balance = 0`)

	const at = "2026-11-22T14:05:00Z"
	_, port, err := net.SplitHostPort(recovered.Addr())
	require.NoError(t, err)
	address := "RECOVERED_ADDRESS=127.0.0.1:" + port
	p := s.beginRestore(at, address, "RESTORE_OVER=app")
	assert.NotZero(t, p.Wait().ExitCode(), "a stranger's certificate")
	assert.Contains(t, p.Logged(), "certificate signed by unknown authority")

	recovered.TakeCertificate(s.db) // which is not for 127.0.0.1
	s.failRestore(at, []string{"app holds 11 tables", "set restoreOver to app"}, address)
	log := s.restore(at, address, "RESTORE_OVER=app", "RESTORE_REQUEST=1")
	assert.Contains(t, log, "restored app from "+at)
	assert.Equal(t, recovered.Ask(all), s.db.Ask(all))
	assert.Contains(t, s.restore(at, address, "RESTORE_OVER=app", "RESTORE_REQUEST=1"), "nothing to do")

	recovered.As("postgres").In("postgres").Exec(`DROP DATABASE app`)
	recovered.As("postgres").In("postgres").Exec(`CREATE DATABASE app OWNER app`)
	s.failRestore("2026-11-22T14:06:00Z", []string{"the database had no tables then"}, address,
		"RESTORE_OVER=app")
}
