-- Materialized views of each other, one without data.

SET ROLE app;

CREATE TABLE n (n int);
INSERT INTO n SELECT generate_series(1, 10);
CREATE MATERIALIZED VIEW b AS SELECT n, n * 2 AS twice FROM n;
CREATE MATERIALIZED VIEW a AS SELECT sum(twice) FROM b;
CREATE UNIQUE INDEX b_n ON b (n);
CREATE MATERIALIZED VIEW empty AS SELECT n FROM n WITH NO DATA;
INSERT INTO n VALUES (11);
