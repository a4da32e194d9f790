-- Aggregates of all kinds.

SET ROLE app;

CREATE AGGREGATE product(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1',
  COMBINEFUNC = numeric_mul, PARALLEL = SAFE);

CREATE FUNCTION first_of(anyelement, anyelement) RETURNS anyelement IMMUTABLE STRICT LANGUAGE sql
  AS 'SELECT $1';
CREATE AGGREGATE first(anyelement) (SFUNC = first_of, STYPE = anyelement);
CREATE AGGREGATE moving(float8) (SFUNC = float8pl, STYPE = float8, INITCOND = '0',
  MSFUNC = float8pl, MINVFUNC = float8mi, MSTYPE = float8, MINITCOND = '0');
CREATE TABLE n (n numeric);
INSERT INTO n VALUES (2), (3);
CREATE MATERIALIZED VIEW all_of AS SELECT product(n) AS product, first(n ORDER BY n) AS first FROM n;
