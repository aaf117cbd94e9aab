-- A reset is asked for by address, whether or not anybody has it: the request costs the same either way, and the mail
-- is sent later by the sweep. Only the hash of the link's secret is stored.
CREATE TABLE password_resets (
    reset_id        uuid PRIMARY KEY,
    email_key       text NOT NULL,
    user_id         uuid REFERENCES users,
    state           text NOT NULL CHECK (state IN ('requested', 'mailed', 'used', 'replaced', 'dropped')),
    secret_hash     bytea UNIQUE,
    requested_at    timestamptz NOT NULL,
    expires_at      timestamptz,
    used_at         timestamptz,
    attempt         integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL
);
CREATE INDEX password_resets_due ON password_resets (next_attempt_at) WHERE state = 'requested';
CREATE INDEX password_resets_by_user ON password_resets (user_id) WHERE state = 'mailed';
