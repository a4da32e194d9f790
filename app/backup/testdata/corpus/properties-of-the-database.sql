-- Properties of the database itself.

CREATE ROLE corpus_guest;
ALTER DATABASE :"DBNAME" CONNECTION LIMIT 50;
COMMENT ON DATABASE :"DBNAME" IS 'it''s DATABASE app ; not another
-- nor a second line';
GRANT CREATE, TEMPORARY ON DATABASE :"DBNAME" TO corpus_guest WITH GRANT OPTION;
ALTER DATABASE :"DBNAME" SET work_mem = '5MB';
