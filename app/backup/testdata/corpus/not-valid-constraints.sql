-- NOT VALID constraints, and rows that violate them.

SET ROLE app;

CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int, parent int);
INSERT INTO child VALUES (-1, 4711);
ALTER TABLE child ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;
ALTER TABLE child ADD CONSTRAINT known FOREIGN KEY (parent) REFERENCES parent NOT VALID;
