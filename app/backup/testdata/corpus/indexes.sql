-- Indexes of all kinds, with their options.

SET ROLE app;

CREATE TABLE doc (id int, body text, tags text[], data jsonb, at timestamptz, net inet);
CREATE UNIQUE INDEX doc_id ON doc (id) INCLUDE (at) WITH (fillfactor = 80, deduplicate_items = off);
CREATE INDEX doc_body ON doc (lower(body) text_pattern_ops DESC NULLS LAST) WHERE body <> '';
CREATE INDEX doc_c ON doc (body COLLATE "C", (id % 10));
CREATE INDEX doc_tags ON doc USING gin (tags) WITH (fastupdate = off);
CREATE INDEX doc_data ON doc USING gin (data jsonb_path_ops);
CREATE INDEX doc_at ON doc USING brin (at timestamptz_minmax_multi_ops (values_per_range = 16))
  WITH (pages_per_range = 4);
CREATE INDEX doc_net ON doc USING spgist (net);
CREATE INDEX doc_hash ON doc USING hash (id);
CREATE INDEX doc_text ON doc USING gin (to_tsvector('english', body));
ALTER INDEX doc_c ALTER COLUMN 2 SET STATISTICS 500;
ALTER TABLE doc CLUSTER ON doc_id;
INSERT INTO doc SELECT n, 'word ' || n, ARRAY[n::text], jsonb_build_object('n', n), '2026-01-01'::timestamptz
  + n * interval '1h',
  '10.0.0.1'::inet + n FROM generate_series(1, 500) n;
