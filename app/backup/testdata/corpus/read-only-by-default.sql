-- A database whose transactions only read unless they say otherwise.

CREATE TABLE kept (id int);
INSERT INTO kept VALUES (1);
ALTER DATABASE :"DBNAME" SET default_transaction_read_only = on;
