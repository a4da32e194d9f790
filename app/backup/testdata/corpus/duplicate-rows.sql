-- Duplicate rows, and rows without columns.

SET ROLE app;

CREATE TABLE d (a int, b text);
INSERT INTO d SELECT 1, 'x' FROM generate_series(1, 1000);
INSERT INTO d SELECT NULL, NULL FROM generate_series(1, 1000);
INSERT INTO d VALUES (1, ''), (1, '\N'), (1, E'a\tb'), (1, '\.');
