-- The function was changed after the row was written.
-- Says: table=public.item columns=gross

SET ROLE app;

CREATE FUNCTION price(net int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT net * 119 / 100';
CREATE TABLE item (net int, gross int GENERATED ALWAYS AS (price(net)) STORED, note text);
INSERT INTO item VALUES (100, DEFAULT, 'a'), (200, DEFAULT, 'b');
CREATE OR REPLACE FUNCTION price(net int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT net * 120 / 100';
