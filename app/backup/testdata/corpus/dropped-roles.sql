-- A column holds the OID of a dropped role.

CREATE ROLE corpus_gone;
CREATE TABLE member (who regrole, n int);
INSERT INTO member VALUES ('corpus_gone', 1);
DROP ROLE corpus_gone;
