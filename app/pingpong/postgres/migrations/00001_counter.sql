-- +goose Up
CREATE TABLE counter (
    id    smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1), -- there is one row
    pings bigint   NOT NULL DEFAULT 0
);
INSERT INTO counter DEFAULT VALUES;

-- The last batch of each process. One statement changes it and the counter, so after a lost connection
-- the process can find out whether its batch was added.
CREATE TABLE replica (
    id       text        PRIMARY KEY,
    epoch    bigint      NOT NULL DEFAULT 1, -- of the session that may add
    sequence bigint      NOT NULL DEFAULT 0, -- of the last batch
    pings    bigint      NOT NULL DEFAULT 0, -- the counter with that batch
    added    timestamptz NOT NULL DEFAULT now()
);
