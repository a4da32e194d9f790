-- A server prints IN of a varchar in other words once it has parsed its own.
-- Reworded

SET ROLE app;

CREATE DOMAIN status AS varchar(9) CHECK (VALUE IN ('open', 'done'));
CREATE TABLE task (id int PRIMARY KEY, status varchar(9) NOT NULL
  CHECK (status IN ('open', 'done')), also status);
CREATE INDEX task_open ON task (id) WHERE status IN ('open', 'done');
CREATE VIEW open_task AS SELECT id FROM task WHERE status IN ('open', 'done');
ALTER TABLE task ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON task USING (status IN ('open', 'done'));
CREATE FUNCTION is_open(t task) RETURNS boolean LANGUAGE sql STABLE BEGIN ATOMIC SELECT t.status IN ('open',
  'done'); END;
CREATE TABLE part (status varchar(9)) PARTITION BY LIST (status);
CREATE TABLE part_1 PARTITION OF part (CHECK (status NOT IN ('a', 'b'))) FOR VALUES IN ('c', 'd');
CREATE TRIGGER touched BEFORE UPDATE ON task FOR EACH ROW WHEN (NEW.status IN ('open', 'done'))
  EXECUTE FUNCTION suppress_redundant_updates_trigger();
INSERT INTO task VALUES (1, 'open', 'done');
