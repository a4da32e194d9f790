-- Storage options of tables.

SET ROLE app;

CREATE TABLE t (a text COMPRESSION pglz, b text, c bytea)
  WITH (fillfactor = 50, autovacuum_enabled = off, toast.autovacuum_vacuum_threshold = 7, parallel_workers =
  2);
ALTER TABLE t ALTER b SET STORAGE EXTERNAL, ALTER c SET STORAGE MAIN, REPLICA IDENTITY FULL;
INSERT INTO t SELECT repeat('x', n), repeat('y', n), decode(repeat('00ff', n), 'hex')
  FROM generate_series(0, 20000, 4000) n;
CREATE TABLE dropped (a int, b int DEFAULT 7, c int);
INSERT INTO dropped VALUES (1, 2, 3);
ALTER TABLE dropped DROP b, ADD d int DEFAULT 9, ADD e timestamptz DEFAULT '2026-01-01 00:00+00';
INSERT INTO dropped VALUES (2);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE keyed (a int NOT NULL, b int);
CREATE UNIQUE INDEX keyed_a ON keyed (a);
ALTER TABLE keyed REPLICA IDENTITY USING INDEX keyed_a;
