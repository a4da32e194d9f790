-- Settings that change how values and expressions are printed.

CREATE TABLE log (at timestamptz, took interval, raw bytea DEFAULT '\x00ff') PARTITION BY RANGE (at);
CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01 00:00+01') TO ('2027-01-01 00:00+01');
INSERT INTO log VALUES ('2026-06-01 12:00+00', '-1 year +2 days -00:00:01', '\xdeadbeef');
CREATE VIEW recent AS SELECT at FROM log WHERE at > '2026-02-01 00:00+00'::timestamptz;
ALTER DATABASE :"DBNAME" SET timezone = 'America/St_Johns';
ALTER DATABASE :"DBNAME" SET datestyle = 'SQL, DMY';
ALTER DATABASE :"DBNAME" SET intervalstyle = 'sql_standard';
ALTER DATABASE :"DBNAME" SET bytea_output = 'escape';
ALTER DATABASE :"DBNAME" SET extra_float_digits = -3;
ALTER DATABASE :"DBNAME" SET search_path = 'nowhere', "$user", public;
ALTER DATABASE :"DBNAME" SET quote_all_identifiers = on;
ALTER DATABASE :"DBNAME" SET default_transaction_isolation = 'serializable';
ALTER DATABASE :"DBNAME" SET statement_timeout = '1h';
ALTER DATABASE :"DBNAME" SET lc_messages = 'C';
