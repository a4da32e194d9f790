-- Row-level security that binds the owner too.

SET ROLE app;

CREATE TABLE secret (id int, owner name DEFAULT current_user);
INSERT INTO secret VALUES (1, 'somebody'), (2, 'app');
ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (owner = current_user) WITH CHECK (id > 0);
CREATE POLICY narrow ON secret AS RESTRICTIVE FOR SELECT TO reader, PUBLIC USING (id IN (SELECT 1));
CREATE POLICY adding ON secret FOR INSERT WITH CHECK (true);
