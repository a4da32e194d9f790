-- SQL_ASCII, with bytes that are no text.
-- Database: TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'

CREATE TABLE raw (t text);
INSERT INTO raw VALUES (E'\xff\xfe'), (E'\xc3\xa4'), ('plain');
