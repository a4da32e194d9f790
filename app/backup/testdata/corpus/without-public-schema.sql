-- The schema public was dropped.

DROP SCHEMA public;
CREATE SCHEMA app AUTHORIZATION app;
CREATE TABLE app.t (id int);
INSERT INTO app.t VALUES (1);
