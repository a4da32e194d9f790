-- Functions and procedures of all kinds.

SET ROLE app;

CREATE TABLE t (id int PRIMARY KEY, n int);
CREATE FUNCTION total(VARIADIC numbers int[] DEFAULT '{1}') RETURNS int LANGUAGE sql IMMUTABLE
  PARALLEL SAFE COST 5 AS 'SELECT cardinality(numbers)';
CREATE FUNCTION atomic(wanted int, OUT n int, OUT twice int) RETURNS SETOF record LANGUAGE sql ROWS 7
  BEGIN ATOMIC SELECT t.n, t.n * 2 FROM t WHERE t.id = wanted; END;
CREATE FUNCTION overloaded(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION overloaded(text) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION rows_of() RETURNS TABLE (a int, b text) LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp SET work_mem = '8MB' AS $body$
BEGIN
  -- $$ and 'quotes' and \backslashes

  RETURN QUERY SELECT 1, E'\n';
END $body$;
CREATE PROCEDURE work(INOUT n int, label text DEFAULT 'it''s') LANGUAGE plpgsql AS 'BEGIN n := n + 1; END';
CREATE FUNCTION uses_view() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM t; END;
CREATE VIEW uses_function AS SELECT uses_view() AS n, a.twice FROM atomic(1) a;
GRANT EXECUTE ON FUNCTION overloaded(text) TO reader;
REVOKE EXECUTE ON FUNCTION total FROM PUBLIC;
