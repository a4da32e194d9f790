-- As many columns as a table can have.

SET ROLE app;

SELECT 'CREATE TABLE wide (' || string_agg(format('c%s int', n), ', ') || ')'
  FROM generate_series(1, 1600) n \gexec
INSERT INTO wide (c1, c1600) VALUES (1, 2);
