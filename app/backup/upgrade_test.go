package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The server of 17.12 sets the option by itself, and lets no statement reset it.
func TestPreparingAnUpgradeRemovesWhatNoNewerServerTakes(t *testing.T) {
	s := startEmpty(t)
	su := s.db.As("postgres")
	su.Exec(`CREATE TABLE plain (a int, b text); CREATE TABLE part (a int);
		UPDATE pg_attribute SET attoptions = '{n_distinct=5,pg_attver=1234}' WHERE attrelid = 'plain'::regclass;
		UPDATE pg_attribute SET attoptions = '{pg_attver=1234}' WHERE attrelid = 'part'::regclass`)
	options := func(table string) string {
		return su.Ask(`SELECT string_agg(DISTINCT coalesce(attoptions::text, 'none'), ' ')
			FROM pg_attribute WHERE attrelid = '` + table + `'::regclass`)
	}
	asRestorer := "URL=" + s.db.As("restorer").URL()
	s.succeed("prepare-upgrade", asRestorer)
	require.Len(t, s.backups(), 1)
	require.Equal(t, "{n_distinct=5}", options("plain"))
	require.Equal(t, "none", options("part"))

	su.Exec(`CREATE DOMAIN parts AS part[]; CREATE TABLE whole (parts parts);
		UPDATE pg_attribute SET attoptions = '{pg_attver=1234}'
		WHERE attrelid IN ('plain'::regclass, 'part'::regclass)`)
	s.fail("prepare-upgrade", []string{"prepare the upgrade: ", "whole.parts of type public.part",
		"restore a backup"}, asRestorer)
	require.Equal(t, "{pg_attver=1234}", options("part"), "values of its rows are checked with it")
	require.Equal(t, "none", options("plain"))
	require.Len(t, s.backups(), 1)
}
