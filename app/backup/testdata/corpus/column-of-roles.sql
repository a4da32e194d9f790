-- Columns of type regrole hold roles that own nothing.

CREATE ROLE corpus_named;
CREATE ROLE "corpus Listed";
CREATE DOMAIN corpus_role AS regrole;
CREATE TABLE member (who regrole, others regrole[], domained corpus_role);
INSERT INTO member VALUES ('corpus_named', ARRAY['"corpus Listed"', 'app']::regrole[], 'corpus_named'),
  (NULL, NULL, NULL), (0, '{}', NULL);
