-- Text search configurations and their parts.

CREATE EXTENSION unaccent;
CREATE TEXT SEARCH PARSER own (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,
  LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE plain (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = plain, StopWords = 'english');
CREATE TEXT SEARCH CONFIGURATION own (PARSER = own);
ALTER TEXT SEARCH CONFIGURATION own ADD MAPPING FOR asciiword, word WITH unaccent, words;
CREATE TABLE doc (body text, words tsvector GENERATED ALWAYS AS (to_tsvector('public.own', body)) STORED);
INSERT INTO doc VALUES ('The naïve Words');
CREATE INDEX doc_words ON doc USING gin (words);
