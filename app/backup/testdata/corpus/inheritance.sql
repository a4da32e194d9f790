-- Tables with several parents.

SET ROLE app;

CREATE TABLE named (name text NOT NULL DEFAULT 'nobody', CHECK (name <> ''));
CREATE TABLE dated (at date DEFAULT '2026-01-01');
CREATE TABLE event (id int, name text DEFAULT 'event') INHERITS (named, dated);
CREATE TABLE detail (more text) INHERITS (event);
ALTER TABLE detail ALTER at DROP DEFAULT, NO INHERIT event;
ALTER TABLE detail INHERIT event;
INSERT INTO named VALUES ('a');
INSERT INTO event (id) VALUES (1);
INSERT INTO detail VALUES ('b', NULL, 2, 'c');
