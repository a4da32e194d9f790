-- A single-byte encoding.
-- Database: TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'

\encoding UTF8
CREATE TABLE "tête" (é text);
INSERT INTO "tête" VALUES ('ÄÖÜß'), ('plain');
COMMENT ON TABLE "tête" IS 'çà';
