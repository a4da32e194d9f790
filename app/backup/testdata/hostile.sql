-- Code of a database's owner in all places from where a backup or a restore could run it. Each that runs as a superuser
-- leaves a file in the folder :dir: live-… on a server that is reached by the network, and copy-… on another one.
SET ROLE app;
CREATE FUNCTION a_run(kind text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') <> 'backup' THEN RETURN true; END IF;
  BEGIN SET SESSION AUTHORIZATION postgres; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN SET ROLE postgres; EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN
    EXECUTE format('COPY (SELECT session_user) TO PROGRAM %L', ':dir/look '
      || CASE WHEN inet_server_port() IS NULL THEN 'copy-' ELSE 'live-' END || kind);
  EXCEPTION WHEN OTHERS THEN NULL; END;
  BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN true;
END $$;
CREATE FUNCTION f(kind text, anyelement) RETURNS bool LANGUAGE plpgsql IMMUTABLE
  AS $$ BEGIN RETURN public.a_run(kind); END $$;

CREATE DOMAIN d AS int CHECK (public.f('domain', VALUE));
CREATE TYPE r AS RANGE (subtype = d);
CREATE TYPE pair AS (x d);
CREATE FUNCTION of_argument(a d[] DEFAULT '{1}', b r DEFAULT '[1,2]') RETURNS int LANGUAGE sql RETURN 1;
CREATE FUNCTION plus(d, d) RETURNS d LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE AGGREGATE sum_of(d) (SFUNC = plus, STYPE = d, INITCOND = '1');

CREATE TABLE t (
  a int PRIMARY KEY CHECK (public.f('check', a)),
  b bool GENERATED ALWAYS AS (public.f('generated', a)) STORED,
  c bool DEFAULT public.f('default', 1),
  d d, e d[] DEFAULT '{2}', r r, p pair
);
INSERT INTO t (a, d, e, r, p) VALUES (1, 1, '{1}', '[1,2]', '(1)');
CREATE INDEX ON t (public.f('index', a));
CREATE INDEX ON t (a) WHERE public.f('predicate', a);
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN PERFORM public.a_run('trigger'); RETURN NEW; END $$;
CREATE TRIGGER always BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION on_row();
ALTER TABLE t ENABLE ALWAYS TRIGGER always;
CREATE STATISTICS ON (public.f('statistics', a)), a FROM t;
CREATE POLICY own ON t USING (public.f('policy', a));
ALTER TABLE t ENABLE ROW LEVEL SECURITY;

CREATE TABLE parts (a d, b int) PARTITION BY LIST (a);
CREATE TABLE part PARTITION OF parts FOR VALUES IN (1);
INSERT INTO parts VALUES (1, 1);
CREATE VIEW v AS SELECT public.f('view', a) FROM t;
CREATE MATERIALIZED VIEW m AS SELECT public.f('materialized', a) AS x FROM t;
CREATE RULE instead AS ON UPDATE TO t DO ALSO SELECT public.f('rule', 1);

CREATE TYPE word AS ENUM ('1', '2');
CREATE FUNCTION to_int(word) RETURNS int LANGUAGE plpgsql IMMUTABLE
  AS $$ BEGIN PERFORM public.a_run('cast'); RETURN $1::text::int; END $$;
CREATE CAST (word AS int) WITH FUNCTION to_int(word) AS IMPLICIT;
CREATE TABLE casting (w word REFERENCES t (a));
INSERT INTO casting VALUES ('1');
CREATE FUNCTION of_operator(word, word) RETURNS bool LANGUAGE plpgsql IMMUTABLE
  AS $$ BEGIN PERFORM public.a_run('operator'); RETURN true; END $$;
CREATE OPERATOR === (LEFTARG = word, RIGHTARG = word, FUNCTION = of_operator);
CREATE SCHEMA "ACL";
CREATE TABLE "ACL".t (a d[] DEFAULT '{3}', b int);
CREATE VIEW "ACL".v AS SELECT 1 AS a;
ALTER VIEW "ACL".v ALTER a SET DEFAULT public.f('default', 1)::int;
CREATE FUNCTION on_event() RETURNS event_trigger LANGUAGE plpgsql
  AS $$ BEGIN PERFORM public.a_run('event'); END $$;
RESET ROLE;

-- And in what a superuser has made of it.
CREATE TABLE of_superuser (a int CHECK (public.f('superusers-check', a)), b d);
INSERT INTO of_superuser VALUES (1, 1);
CREATE EVENT TRIGGER ddl ON ddl_command_end EXECUTE FUNCTION on_event();
CREATE EVENT TRIGGER login ON login EXECUTE FUNCTION on_event();
