-- A database with an ICU locale.
-- Database: TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C.UTF-8'

SET ROLE app;

CREATE TABLE word (w text PRIMARY KEY) PARTITION BY RANGE (w);
CREATE TABLE word_1 PARTITION OF word FOR VALUES FROM ('a') TO ('n');
CREATE TABLE word_2 PARTITION OF word FOR VALUES FROM ('n') TO (MAXVALUE);
INSERT INTO word VALUES ('ähnlich'), ('Apfel'), ('zebra'), ('Öl');
