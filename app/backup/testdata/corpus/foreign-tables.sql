-- Foreign tables of a server that cannot be reached.

CREATE EXTENSION postgres_fdw;
CREATE SERVER far TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER postgres_fdw
  OPTIONS (host 'far.example', dbname 'it''s');
GRANT USAGE ON FOREIGN SERVER far TO app;
CREATE FOREIGN TABLE remote (id int OPTIONS (column_name 'Id') NOT NULL, name text DEFAULT 'x',
  CHECK (id > 0)) SERVER far OPTIONS (table_name 'there');
CREATE VIEW from_remote AS SELECT id FROM remote;
CREATE TABLE mixed (id int, name text) PARTITION BY RANGE (id);
CREATE TABLE mixed_here PARTITION OF mixed FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE mixed_there PARTITION OF mixed FOR VALUES FROM (10) TO (20) SERVER far;
INSERT INTO mixed_here VALUES (1, 'a');
