-- People, where they belong, and what they are signed in to.

CREATE TABLE users (
    user_id             uuid PRIMARY KEY,
    email               text NOT NULL,
    email_key           text NOT NULL UNIQUE,               -- the address as compared: case-folded and normalised
    name                text NOT NULL,
    password_hash       text,                               -- argon2id; null until the first password is set by a reset link
    support_admin       boolean NOT NULL DEFAULT false,
    epoch               integer NOT NULL DEFAULT 0,         -- raised by every end of all of this user's sessions
    time_zone           text NOT NULL DEFAULT 'UTC',
    locale              text NOT NULL DEFAULT 'en',
    disabled_at         timestamptz,
    password_changed_at timestamptz,
    created_at          timestamptz NOT NULL
);

CREATE TABLE workspaces (
    workspace_id uuid PRIMARY KEY,
    name         text NOT NULL,
    created_at   timestamptz NOT NULL
);

CREATE TABLE memberships (
    user_id      uuid NOT NULL REFERENCES users,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    role         text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (user_id, workspace_id)
);
CREATE INDEX memberships_by_workspace ON memberships (workspace_id, user_id);

-- Everything that a JWT needs is in this one row, so that minting is one indexed read. The copies of role and epoch
-- cannot go stale: whatever changes either ends or rewrites the user's live sessions in the same transaction.
CREATE TABLE sessions (
    session_id    uuid PRIMARY KEY,
    secret_hash   bytea NOT NULL UNIQUE,                    -- SHA-256 of the cookie's value; the value itself is never stored
    user_id       uuid NOT NULL REFERENCES users,
    workspace_id  uuid NOT NULL REFERENCES workspaces,
    role          text NOT NULL,
    epoch         integer NOT NULL,
    version       integer NOT NULL,
    status        text NOT NULL CHECK (status IN ('active', 'expired', 'revoked')),
    created_at    timestamptz NOT NULL,
    extended_at   timestamptz NOT NULL,                     -- also "last seen", to a day: reads never write
    expires_at    timestamptz NOT NULL,
    switched_at   timestamptz,                              -- when it last moved to another workspace
    ended_at      timestamptz,
    end_cause     text,
    actor_user_id uuid REFERENCES users,                    -- the support admin who acts as user_id
    device        text NOT NULL,
    address       text NOT NULL,
    purged_at     timestamptz,                              -- when token.state got its tombstone
    CHECK ((status = 'active') = (ended_at IS NULL))
);
CREATE INDEX sessions_live_by_user ON sessions (user_id) WHERE status = 'active';
CREATE INDEX sessions_live_by_workspace ON sessions (workspace_id) WHERE status = 'active';
CREATE INDEX sessions_live_by_expiry ON sessions (expires_at) WHERE status = 'active';
CREATE INDEX sessions_unpurged ON sessions (ended_at) WHERE status <> 'active' AND purged_at IS NULL;
CREATE INDEX sessions_switched ON sessions (user_id, switched_at) WHERE status = 'active' AND switched_at IS NOT NULL;

CREATE TABLE impersonations (
    session_id    uuid PRIMARY KEY REFERENCES sessions,
    actor_user_id uuid NOT NULL REFERENCES users,
    user_id       uuid NOT NULL REFERENCES users,
    reason        text NOT NULL CHECK (length(reason) >= 10),
    ticket        text,
    started_at    timestamptz NOT NULL
);
CREATE INDEX impersonations_by_user ON impersonations (user_id, started_at);

-- A key's state (next, active, retiring, gone) is arithmetic on these times; nothing has to run for it to change.
CREATE TABLE signing_keys (
    kid         text PRIMARY KEY,
    public_key  bytea NOT NULL,                             -- raw Ed25519, 32 bytes
    sealed_key  bytea NOT NULL,                             -- the private key, sealed by the key-encryption keyring
    created_at  timestamptz NOT NULL,
    signs_from  timestamptz NOT NULL,
    signs_until timestamptz,                                -- the next key's signs_from
    CHECK (signs_until > signs_from)
);
CREATE UNIQUE INDEX signing_keys_one_open_end ON signing_keys ((true)) WHERE signs_until IS NULL;

CREATE TABLE service_clients (
    client_id   text PRIMARY KEY,
    name        text NOT NULL,
    scopes      text[] NOT NULL,
    disabled_at timestamptz,
    created_at  timestamptz NOT NULL
);

-- Two live secrets per client, so that one can be replaced without a moment in which none works.
CREATE TABLE service_client_secrets (
    client_id   text NOT NULL REFERENCES service_clients,
    secret_hash bytea NOT NULL,                             -- SHA-256: the secrets are random, not chosen by people
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (client_id, secret_hash)
);

-- Rate limits (GCRA): one theoretical arrival time per key, shared by all replicas.
CREATE TABLE rate_limits (
    key   text PRIMARY KEY,
    tat   timestamptz NOT NULL
);
CREATE INDEX rate_limits_by_tat ON rate_limits (tat);

CREATE TABLE audit (
    audit_id      uuid PRIMARY KEY,
    at            timestamptz NOT NULL,
    action        text NOT NULL,
    workspace_id  uuid,
    actor_user_id uuid,                                     -- who really did it
    as_user_id    uuid,                                     -- whom they acted as, when that was somebody else
    client_id     text,
    session_id    uuid,
    target_kind   text,
    target_id     text,
    address       text,
    reason        text,
    details       jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_by_workspace ON audit (workspace_id, audit_id DESC);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
