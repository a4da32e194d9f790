-- Names that need quotes, and that look like something else.

SET ROLE app;

CREATE SCHEMA "Odd ""schema"".x";
CREATE TABLE "Odd ""schema"".x"."select" ("from" int, "a""b" text, "$1" int, "%s" int, "ünïcödé 🙂" text, " "
  int);
INSERT INTO "Odd ""schema"".x"."select" VALUES (1, 'x', 2, 3, '🙂', 4);
CREATE TABLE "-- Name: x; Type: TABLE; Schema: public; Owner: app" (id int);
CREATE TABLE "it's; DROP TABLE x; \ DATABASE app " (id int);
CREATE TABLE a_name_of_sixty_three_bytes_is_as_long_as_postgres_keeps_one_xx (id int);
CREATE TYPE "Type" AS ENUM ('', 'it''s', '"', '\');
CREATE FUNCTION "Function"("In" "Type") RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE INDEX "Index on (x)" ON "Odd ""schema"".x"."select" ("from");
CREATE VIEW "user" AS SELECT "from" AS "order" FROM "Odd ""schema"".x"."select";
