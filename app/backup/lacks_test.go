package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A backup names what it lacks.
func TestABackupSaysWhatItLacks(t *testing.T) {
	s := startEmpty(t)
	assert.Empty(t, s.manifest(s.backup()).Lacks, "what the stack makes again")

	su := s.db.As("postgres")
	su.Exec(`
		CREATE TABLE t (a int); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO app;
		CREATE EXTENSION postgres_fdw; CREATE EXTENSION hstore;
		CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
		CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'me', password 'secret');
		CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'all');
		CREATE TABLE adopted AS SELECT 1 AS a; ALTER EXTENSION hstore ADD TABLE adopted;
		CREATE ROLE clerk LOGIN; GRANT clerk TO app; ALTER ROLE app SET work_mem = '6MB';
		ALTER ROLE ALL SET geqo = off;
		ALTER ROLE clerk SET work_mem = '7MB'; GRANT SET ON PARAMETER log_statement TO app;
		CREATE FUNCTION low(text) RETURNS text LANGUAGE internal AS 'lower';
		CREATE FUNCTION leak() RETURNS int LEAKPROOF LANGUAGE sql RETURN 1;
		CREATE FOREIGN DATA WRAPPER bare;
		SELECT pg_create_physical_replication_slot('standby')`)
	su.Exec(`CREATE SUBSCRIPTION news CONNECTION 'host=far.example' PUBLICATION p
		WITH (connect = false, slot_name = NONE)`)
	su.In("postgres").Exec(`CREATE DATABASE second`)
	// A backup has default privileges, settings of roles in this database, publications, event triggers.
	su.Exec(`ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO reader;
		ALTER ROLE app IN DATABASE app SET work_mem = '6MB'; CREATE PUBLICATION p FOR ALL TABLES`)

	p := s.begin("run")
	assert.Equal(t, 0, p.Wait().ExitCode(), p.Logged())
	m := s.manifest(s.backups()[1])
	assert.Equal(t, []string{
		"database second",
		"foreign-data wrapper bare, which is restored by hand alone, by a superuser",
		"function public.leak(), which is restored by hand alone, by a superuser",
		"function public.low(text), which is restored by hand alone, by a superuser",
		"grants of parameter log_statement",
		"membership of role app in clerk",
		"options of the user mapping of app for server far",
		"options of the user mapping of public for server far",
		"replication slot standby",
		"role clerk, with its password, settings and memberships",
		"rows of table public.adopted, which extension hstore does not say are to be dumped",
		"setting geqo of all roles in all databases",
		"setting work_mem of role app in all databases",
		"subscription news",
	}, m.Lacks)
	for _, what := range m.Lacks {
		assert.Contains(t, p.Logged(), `msg="not in the backup" backup=`+m.Name+` what="`+what+`"`)
	}
	measured := s.begin("metrics")
	measured.WaitUntilReady(http.StatusOK)
	assert.EqualValues(t, len(m.Lacks), metrics(t, measured)["last_verified_lacks"])

	su.Exec(`DROP SUBSCRIPTION news`)
	s.lose()
	s.failRestore(m.Name, []string{"only a superuser could make this", "leave it to an extension",
		"FUNCTION public.leak()"})
	s.db.Exec(`CREATE TABLE t (a int)`)
	m = s.manifest(s.backup())
	s.lose()
	assert.Contains(t, s.restore(m.Name), `msg="not in the backup" backup=`+m.Name+` what="database second"`)
}
