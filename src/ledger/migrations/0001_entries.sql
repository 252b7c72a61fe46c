-- One row a fact, never changed. `hash` is SHA-256 over the row and the hash of the row before it.
CREATE TABLE entries (
    seq     BIGINT PRIMARY KEY,  -- 1, 2, 3, … without gaps
    at      TEXT NOT NULL,       -- when it was written: RFC 3339, UTC
    scope   TEXT NOT NULL,       -- the key of the workspace: its name; empty for the ledger itself
    kind    TEXT NOT NULL,
    subject TEXT,                -- the address of the person, where it concerns one
    body    TEXT NOT NULL,       -- JSON
    hash    TEXT NOT NULL        -- 64 hexadecimal digits
);
CREATE INDEX entries_kind ON entries (kind, seq);

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
