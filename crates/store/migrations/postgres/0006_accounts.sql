-- People's accounts that are signed in to: the session's token, sealed, and how it stands. See src/accounts.rs.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    vendor TEXT NOT NULL,
    name TEXT NOT NULL,
    config TEXT NOT NULL,
    token TEXT,
    serial BIGINT NOT NULL,
    parked TEXT,
    message TEXT,
    day BIGINT NOT NULL,
    sign_ins BIGINT NOT NULL,
    signed_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
