-- Extended statistics.

SET ROLE app;

CREATE TABLE t (a int, b int, c text);
CREATE STATISTICS one (ndistinct, dependencies, mcv) ON a, b FROM t;
CREATE STATISTICS two ON lower(c), (a % 10) FROM t;
ALTER STATISTICS two SET STATISTICS 300;
ALTER TABLE t ALTER a SET STATISTICS 500, ALTER b SET (n_distinct = -0.5);
INSERT INTO t SELECT n % 10, n % 7, n::text FROM generate_series(1, 500) n;
ANALYZE t;
