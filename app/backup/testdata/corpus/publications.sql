-- Publications of some tables, columns and rows.

CREATE SCHEMA s;
CREATE TABLE t (id int PRIMARY KEY, a text, b text);
CREATE TABLE s.t (id int PRIMARY KEY);
CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (9);
CREATE PUBLICATION few FOR TABLE t (id, a) WHERE (id > 10), part
  WITH (publish = 'insert, update', publish_via_partition_root);
CREATE PUBLICATION schemas FOR TABLES IN SCHEMA s;
CREATE PUBLICATION everything FOR ALL TABLES;
ALTER PUBLICATION few OWNER TO app;
COMMENT ON PUBLICATION schemas IS 'it''s';
