-- A bit of everything that a database can hold.
CREATE ROLE clerk;
CREATE ROLE "Auditor's";
SET ROLE app;

CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN grade AS int CHECK (VALUE BETWEEN 1 AND 6);

CREATE TABLE account (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  balance numeric(12, 2) NOT NULL DEFAULT 0 CHECK (balance >= 0),
  doubled numeric GENERATED ALWAYS AS (balance * 2) STORED,
  mood mood,
  grade grade
);
CREATE TABLE entry (
  id serial PRIMARY KEY,
  account bigint NOT NULL REFERENCES account ON DELETE CASCADE,
  amount numeric(12, 2) NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  gone int
);
ALTER TABLE entry DROP COLUMN gone;
CREATE INDEX entry_by_account ON entry (account, at DESC) WHERE amount > 0;
COMMENT ON TABLE entry IS 'what happened';

INSERT INTO account (name, balance, mood, grade) VALUES
  ('ann', 10.50, 'good', 1), ('bob', 10.5, NULL, NULL), ('', 0, 'bad', 6),
    (E'tab\t newline\n back\\slash \\N', 1, 'good', 2), ('юникод 🙂', 2, 'bad', 3);
INSERT INTO entry (account, amount, at)
  SELECT 1 + n % 5, n / 100.0, '2026-11-22 12:00:00+02'::timestamptz + n * interval '1 minute'
    FROM generate_series(1, 5000) n;

CREATE SCHEMA "Odd ""names""";
CREATE TABLE "Odd ""names"""."Select" ("from" int, "WHERE" text, "a""b" bytea);
INSERT INTO "Odd ""names"""."Select" VALUES (1, 'x', '\x00ff'), (NULL, NULL, NULL), (NULL, NULL, NULL);

CREATE TABLE shape (
  f8 float8, f4 float4, d date, i interval, t time, tz timetz, j json, jb jsonb, a int[], r int4range, u
    uuid, ip inet,
  bits bit varying, p point, x xml, v tsvector, m money, reg regclass, e mood[]
);
INSERT INTO shape VALUES
  ('NaN', 'Infinity', 'infinity', '1 year -2 days', '24:00', '12:00+02', '{"b": 1,  "a": 2}',
    '{"b": 1, "a": 2}', '{{1,2},{3,NULL}}', '[1,5)',
   '00000000-0000-0000-0000-000000000001', '10.0.0.0/8', '101', '(1.5,-2)', '<a/>', 'a:1 b:2', 12.34,
     'account', '{good,bad}'),
  (0.1::float8 + 0.2::float8, 1e-45, '0001-01-01 BC', '0', '00:00', '00:00-15', 'null', 'null', '{}',
    'empty', NULL, '::1', '', '(-0,0)', NULL, '', 0, NULL, '{}');

CREATE TABLE measured (day date NOT NULL, value int) PARTITION BY RANGE (day);
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE measured_2026 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO measured SELECT '2025-12-01'::date + n, n FROM generate_series(1, 60) n;

CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2, 3);
CREATE UNLOGGED TABLE cache (key text PRIMARY KEY, value text);
INSERT INTO cache VALUES ('a', 'b');
CREATE TABLE empty ();
CREATE TABLE nothing (id int);
INSERT INTO empty DEFAULT VALUES;

CREATE SEQUENCE countdown INCREMENT -1 START 100 MINVALUE 0 MAXVALUE 100 CYCLE;
SELECT nextval('countdown'), nextval('countdown');
CREATE SEQUENCE unused;
SELECT setval('unused', 7, false);

CREATE VIEW rich AS SELECT name FROM account WHERE balance > 1;
CREATE MATERIALIZED VIEW totals AS SELECT account, sum(amount) FROM entry GROUP BY account;
CREATE FUNCTION log_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- so that the trigger does something
  NEW.at := coalesce(NEW.at, now());
  RETURN NEW;
END $$;
CREATE TRIGGER entry_is_logged BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION log_entry();
CREATE STATISTICS entry_numbers ON account, amount FROM entry;
CREATE RULE no_deletes AS ON DELETE TO account WHERE OLD.name = 'ann' DO INSTEAD NOTHING;

ALTER TABLE account ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON account TO clerk USING (name = current_user);
GRANT SELECT, INSERT ON entry TO clerk;
GRANT SELECT (name) ON account TO "Auditor's";
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO clerk;
RESET ROLE;
ALTER TABLE nothing OWNER TO clerk;
ALTER DATABASE app SET work_mem = '5MB';
