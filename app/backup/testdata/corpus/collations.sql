-- User-defined collations.

SET ROLE app;

CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk');
CREATE COLLATION copied FROM "C";
CREATE DOMAIN name AS text COLLATE blind;
CREATE TABLE t (a text COLLATE german, b text COLLATE blind UNIQUE, c name);
CREATE INDEX t_copied ON t (a COLLATE copied);
INSERT INTO t VALUES ('ä', 'É', 'x'), ('a', 'f', 'X');
CREATE VIEW sorted AS SELECT a FROM t ORDER BY a COLLATE "C";
