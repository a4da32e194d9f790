-- Nested partitions by range, list and hash, with indexes.

SET ROLE app;

CREATE TABLE sale (id int NOT NULL, region text, day date, PRIMARY KEY (id, region, day))
  PARTITION BY LIST (region);
CREATE TABLE sale_north PARTITION OF sale FOR VALUES IN ('n', NULL) PARTITION BY RANGE (day);
CREATE TABLE sale_north_old PARTITION OF sale_north FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE sale_north_new PARTITION OF sale_north FOR VALUES FROM ('2026-01-01') TO (MAXVALUE)
  WITH (fillfactor = 50);
CREATE TABLE sale_rest PARTITION OF sale DEFAULT PARTITION BY HASH (id);
CREATE TABLE sale_rest_0 PARTITION OF sale_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE sale_rest_1 PARTITION OF sale_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX sale_day ON sale (day);
CREATE INDEX only_here ON ONLY sale_north (id);
CREATE INDEX sale_new_own ON sale_north_new (day DESC);
CREATE TABLE apart (extra int, day date NOT NULL, gone int, id int NOT NULL, region text NOT NULL);
ALTER TABLE apart DROP gone, DROP extra;
ALTER TABLE sale ATTACH PARTITION apart FOR VALUES IN ('x');
INSERT INTO sale SELECT n, (ARRAY['n', 's', 'x', 'w'])[1 + n % 4], '2025-12-01'::date + n
  FROM generate_series(1, 100) n;
CREATE TABLE refund (id int, region text, day date, FOREIGN KEY (id, region, day) REFERENCES sale);
INSERT INTO refund SELECT * FROM sale WHERE id < 10;
