-- A database with read-only transactions by default.

CREATE TABLE kept (id int);
INSERT INTO kept VALUES (1);
ALTER DATABASE :"DBNAME" SET default_transaction_read_only = on;
