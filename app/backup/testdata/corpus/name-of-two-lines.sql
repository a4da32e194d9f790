-- A name with a line break in it.

SET ROLE app;

CREATE TABLE "two
lines" (id int);
INSERT INTO "two
lines" VALUES (1);
