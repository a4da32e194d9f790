-- A restore refreshes the view, and cannot reach the other server.
-- Refused: a restore refreshes materialized views, and cannot refresh this one, for example since it reads a foreign table

CREATE EXTENSION postgres_fdw;
CREATE TABLE here AS SELECT 1 AS id;
GRANT SELECT ON here TO app;
DO $$ BEGIN
  EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)',
    'localhost', current_setting('port'), current_database());
END $$;
GRANT USAGE ON FOREIGN SERVER far TO app;
CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'app', password 'correct-horse');
CREATE FOREIGN TABLE there (id int) SERVER far OPTIONS (table_name 'here');
GRANT SELECT ON there TO app;
CREATE MATERIALIZED VIEW copied AS SELECT id FROM there WITH NO DATA;
ALTER TABLE there OWNER TO app;
ALTER MATERIALIZED VIEW copied OWNER TO app;
REFRESH MATERIALIZED VIEW copied;
