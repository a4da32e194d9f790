-- Sequences that count down, are shared, or were never used.

SET ROLE app;

CREATE SCHEMA counter;
CREATE SEQUENCE down INCREMENT -1 START 100 MINVALUE 0 MAXVALUE 100 CYCLE;
SELECT nextval('down'), nextval('down');
CREATE SEQUENCE counter.shared AS smallint CACHE 3;
CREATE TABLE a (id int DEFAULT nextval('counter.shared'));
CREATE TABLE b (id int DEFAULT nextval('counter.shared'), own serial);
INSERT INTO a DEFAULT VALUES;
INSERT INTO b DEFAULT VALUES;
ALTER SEQUENCE b_own_seq OWNED BY NONE;
CREATE SEQUENCE last MAXVALUE 9223372036854775807;
SELECT setval('last', 9223372036854775807);
CREATE SEQUENCE unused;
SELECT setval('unused', 7, false);
