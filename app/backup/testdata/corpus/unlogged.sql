-- Unlogged tables, whose rows are in no archive.
-- Archive lacks: public.cache

SET ROLE app;

CREATE UNLOGGED TABLE cache (id int, body text);
INSERT INTO cache VALUES (1, 'a');
CREATE TABLE kept (id int);
INSERT INTO kept VALUES (1);
