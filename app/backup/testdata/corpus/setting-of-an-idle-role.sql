-- A role that owns nothing has a setting of its own in the database.

CREATE ROLE corpus_idle;
ALTER ROLE corpus_idle IN DATABASE :"DBNAME" SET work_mem = '6MB';
CREATE TABLE kept (id int);
