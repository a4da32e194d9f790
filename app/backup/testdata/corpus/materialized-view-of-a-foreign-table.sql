-- A restore fills the view anew, and cannot reach the other server.
-- Refused: MATERIALIZED VIEW DATA public copied | reads a foreign table, which a restore cannot reach: REFRESH MATERIALIZED VIEW … WITH NO DATA

CREATE EXTENSION postgres_fdw;
CREATE TABLE here AS SELECT 1 AS id;
GRANT SELECT ON here TO app;
DO $$ BEGIN
	EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
		'localhost', current_setting('port'), current_database());
END $$;
GRANT USAGE ON FOREIGN SERVER far TO app;
CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'app', password 'correct-horse');
SET ROLE app;
CREATE FOREIGN TABLE there (id int) SERVER far OPTIONS (table_name 'here');
CREATE MATERIALIZED VIEW copied AS SELECT id FROM there;
