-- +goose Up
CREATE TABLE todo (
    id        bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title     text    NOT NULL,
    completed boolean NOT NULL,
    "order"   integer,

    CONSTRAINT title_is_1_to_140_characters CHECK (char_length(title) BETWEEN 1 AND 140),
    CONSTRAINT title_is_trimmed CHECK (
        title = btrim(title,
            U&' \00A0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200A\202F\205F\3000')
    ),
    CONSTRAINT title_shows_something CHECK (
        title ~ U&'[^ \00A0\1680\2000-\200A\202F\205F\3000\00AD\061C\180E\FEFF\200B-\200F\2060-\206F]'
    ),
    CONSTRAINT title_is_one_line CHECK (title !~ U&'[\0001-\001F\007F-\009F\2028\2029]'),
    CONSTRAINT title_has_one_direction CHECK (title !~ U&'[\202A-\202E\2066-\2069]'),
    CONSTRAINT title_is_whole CHECK (title !~ U&'\FFFD')
);

-- With these, pages and counts of one kind cost the same however many todos of the other there are.
CREATE INDEX todo_active ON todo (id) WHERE NOT completed;
CREATE INDEX todo_completed ON todo (id) WHERE completed;

-- The answers to requests with an idempotency key, for repetitions. The todo may have changed since.
CREATE TABLE answer (
    key       text        PRIMARY KEY,
    added     timestamptz NOT NULL DEFAULT now(),
    id        bigint      NOT NULL,
    title     text        NOT NULL,
    completed boolean     NOT NULL,
    "order"   integer
);
CREATE INDEX answer_added ON answer (added);
