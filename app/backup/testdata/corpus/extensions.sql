-- Extensions in a schema of their own, which tables and indexes use.

CREATE SCHEMA extensions;
CREATE EXTENSION hstore SCHEMA extensions;
CREATE EXTENSION pg_trgm SCHEMA extensions;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist SCHEMA extensions;
CREATE EXTENSION "uuid-ossp" SCHEMA extensions;
CREATE EXTENSION pg_stat_statements SCHEMA extensions;
GRANT USAGE ON SCHEMA extensions TO app;
GRANT EXECUTE ON FUNCTION extensions.pg_stat_statements_reset TO app;
REVOKE EXECUTE ON FUNCTION extensions.uuid_generate_v4 FROM PUBLIC;
SET ROLE app;
CREATE TABLE t (id uuid DEFAULT extensions.uuid_generate_v1(), name citext PRIMARY KEY, data
  extensions.hstore, n int, span int4range,
  EXCLUDE USING gist (n WITH =, span WITH &&));
CREATE INDEX t_name ON t USING gin ((name::text) extensions.gin_trgm_ops);
CREATE INDEX t_data ON t USING gist (data extensions.gist_hstore_ops (siglen = 32));
INSERT INTO t VALUES (DEFAULT, 'Ann', 'a=>1', 1, '[1,2)');
