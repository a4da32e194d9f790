-- Rules instead of triggers.

SET ROLE app;

CREATE TABLE shown (id int, gone boolean DEFAULT false);
CREATE VIEW present AS SELECT id FROM shown WHERE NOT gone;
CREATE RULE hide AS ON DELETE TO present DO INSTEAD UPDATE shown SET gone = true WHERE id = OLD.id;
CREATE RULE add AS ON INSERT TO present DO INSTEAD INSERT INTO shown VALUES (NEW.id) RETURNING id;
CREATE RULE quiet AS ON UPDATE TO shown WHERE NEW.id < 0 DO INSTEAD NOTHING;
CREATE TABLE seen (id int);
CREATE RULE note AS ON INSERT TO shown DO ALSO (INSERT INTO seen VALUES (NEW.id); NOTIFY shown);
ALTER TABLE shown DISABLE RULE note;
INSERT INTO present VALUES (1), (2);
DELETE FROM present WHERE id = 2;
