-- Views that depend on each other, on keys and on themselves.

SET ROLE app;

CREATE TABLE person (id int PRIMARY KEY, name text, boss int);
INSERT INTO person VALUES (1, 'a', NULL), (2, 'b', 1);
CREATE VIEW grouped AS SELECT id, name, count(*) FROM person GROUP BY id;
CREATE VIEW named WITH (security_barrier, security_invoker) AS SELECT * FROM grouped WHERE name <> '';
CREATE RECURSIVE VIEW chain (id, depth) AS SELECT id, 0 FROM person WHERE boss IS NULL UNION ALL
  SELECT p.id, depth + 1 FROM person p JOIN chain ON chain.id = p.boss;
CREATE VIEW writable AS SELECT id, name FROM person WHERE id > 0 WITH LOCAL CHECK OPTION;
ALTER VIEW writable ALTER name SET DEFAULT 'new';
ALTER TABLE person RENAME name TO "full name";
CREATE VIEW joined AS SELECT * FROM person p JOIN LATERAL (VALUES (p.id, 'x')) v (n, x) ON true;
CREATE VIEW using_join AS SELECT * FROM person JOIN (SELECT id, 1 AS one FROM person) other USING (id);
ALTER TABLE person ADD later int;
CREATE VIEW windowed AS SELECT id, rank() OVER w, sum(id) FILTER (WHERE id > 1) OVER w FROM person WINDOW w
  AS (PARTITION BY boss ORDER BY id);
CREATE VIEW of_catalog AS SELECT relname FROM pg_class WHERE relkind IN ('r', 'v');
CREATE VIEW sampled AS SELECT * FROM person TABLESAMPLE bernoulli (50) REPEATABLE (1);
