-- A database that sets another role at login.

CREATE TABLE kept (id int);
INSERT INTO kept VALUES (1);
GRANT SELECT ON kept TO app;
ALTER DATABASE :"DBNAME" SET session_preload_libraries = 'auto_explain';
ALTER ROLE app IN DATABASE :"DBNAME" SET role = 'app';
ALTER ROLE postgres IN DATABASE :"DBNAME" SET role = 'app';
