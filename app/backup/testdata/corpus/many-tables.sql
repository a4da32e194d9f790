-- More objects than a transaction has locks.

SET ROLE app;

SELECT format('CREATE TABLE t%s (id int PRIMARY KEY, n int REFERENCES t%s)', n, greatest(n - 1, 1))
  FROM generate_series(1, 400) n \gexec
INSERT INTO t1 VALUES (1, 1);
