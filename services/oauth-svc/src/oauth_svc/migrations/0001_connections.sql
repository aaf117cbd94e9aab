-- A connection is a grant: one user of a platform has let Wevion in, for one workspace. Its id is the token's id.
CREATE TABLE connection (
  connection_id      uuid PRIMARY KEY,
  workspace_id       uuid NOT NULL,
  provider           text NOT NULL,
  kind               text NOT NULL CHECK (kind IN ('platform_oauth', 'integration')),
  subject            text NOT NULL,                  -- the platform's id of its user
  subject_name       text NOT NULL DEFAULT '',
  owner_user_id      uuid NOT NULL,                  -- who gave the consent
  version            bigint NOT NULL,               -- 0 only inside the transaction that makes the row
  status             text NOT NULL CHECK (status IN ('active', 'expiring', 'expired', 'revoked', 'degraded')),
  since              timestamptz NOT NULL,
  cause              text,
  detected_by        text,
  expires_at         timestamptz,                    -- full expiry; null: the platform states no end
  access_expires_at  timestamptz,
  scopes_requested   text[] NOT NULL DEFAULT '{}',
  scopes_granted     text[],                         -- null: the platform was silent, which means as requested
  scopes_missing     text[] NOT NULL DEFAULT '{}',
  authorized_at      timestamptz NOT NULL,
  last_refreshed_at  timestamptz,
  last_good_at       timestamptz NOT NULL,           -- the last answer that proved the grant; a failure never moves it
  last_failure       text,                           -- class:code of the present trouble, null when all is well
  remote_revoke      text CHECK (remote_revoke IN ('due', 'done', 'by_hand', 'shared')),
  created_at         timestamptz NOT NULL,
  UNIQUE (workspace_id, provider, subject)
) WITH (fillfactor = 80);
CREATE INDEX connection_by_subject ON connection (provider, subject);
CREATE INDEX connection_by_workspace ON connection (workspace_id, connection_id);
CREATE INDEX connection_by_end ON connection (expires_at)
  WHERE expires_at IS NOT NULL AND status IN ('active', 'expiring', 'degraded');
CREATE INDEX connection_to_revoke ON connection (connection_id) WHERE remote_revoke = 'due';

-- Data keys: one active per workspace, wrapped by a key-encryption key whose id is kept beside it.
CREATE TABLE data_key (
  key_id        uuid PRIMARY KEY,
  workspace_id  uuid NOT NULL,
  kek_id        text NOT NULL,
  wrapped       bytea NOT NULL,
  state         text NOT NULL CHECK (state IN ('active', 'retiring')),
  created_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX data_key_active ON data_key (workspace_id) WHERE state = 'active';
CREATE INDEX data_key_by_kek ON data_key (kek_id);

-- What must never be seen, sealed. `version` is part of the associated data: an old ciphertext does not come back.
-- `generation` rises when the thing that a refresh presents is replaced, so "presented already" can be asked
-- without keeping any digest of it.
CREATE TABLE credential (
  connection_id  uuid PRIMARY KEY REFERENCES connection ON DELETE CASCADE,
  workspace_id   uuid NOT NULL,
  key_id         uuid NOT NULL REFERENCES data_key,
  version        bigint NOT NULL,
  generation     bigint NOT NULL DEFAULT 1,
  sealed         bytea NOT NULL,
  issued_at      timestamptz NOT NULL,
  match_digest   bytea                               -- Google RISC names a token by digest; see providers.md section 2
) WITH (fillfactor = 80);
CREATE INDEX credential_by_key ON credential (key_id);

-- The narrow table that the sweeps claim from. Every claim rewrites the row, so nothing wide lives here.
CREATE TABLE schedule (
  connection_id  uuid PRIMARY KEY REFERENCES connection ON DELETE CASCADE,
  workspace_id   uuid NOT NULL,
  provider       text NOT NULL,
  refresh_at     timestamptz,                        -- null: nothing to refresh
  probe_at       timestamptz,                        -- null: not probed
  deadline       timestamptz,                        -- when the access token ends: orders the backlog
  epoch          bigint NOT NULL DEFAULT 0,
  leased_until   timestamptz NOT NULL DEFAULT '-infinity',
  attempt        integer NOT NULL DEFAULT 0,         -- failures in a row; a new consent sets it back
  unknown_count  integer NOT NULL DEFAULT 0          -- attempts with this credential whose outcome was never learned
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX schedule_refresh ON schedule (provider, refresh_at) WHERE refresh_at IS NOT NULL;
CREATE INDEX schedule_probe ON schedule (provider, probe_at) WHERE probe_at IS NOT NULL;

-- Committed before the call. Open (sent, answered) until settled; at most the newest open one counts.
CREATE TABLE refresh_attempt (
  connection_id  uuid NOT NULL REFERENCES connection ON DELETE CASCADE,
  epoch          bigint NOT NULL,
  generation     bigint NOT NULL,                    -- of the credential that was presented
  state          text NOT NULL CHECK (state IN ('sent', 'answered', 'promoted', 'failed', 'unknown', 'superseded')),
  started_at     timestamptz NOT NULL DEFAULT now(),
  settled_at     timestamptz,
  outcome        text,                               -- class:code, for people
  key_id         uuid,
  pending        bytea,                              -- the answer, sealed, until it is promoted
  PRIMARY KEY (connection_id, epoch)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX refresh_attempt_open ON refresh_attempt (connection_id, epoch DESC) WHERE state IN ('sent', 'answered');
CREATE INDEX refresh_attempt_old ON refresh_attempt (settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX refresh_attempt_key ON refresh_attempt (key_id) WHERE key_id IS NOT NULL;

CREATE TABLE account (
  account_id     uuid PRIMARY KEY,
  connection_id  uuid NOT NULL REFERENCES connection ON DELETE CASCADE,
  workspace_id   uuid NOT NULL,
  external_id    text NOT NULL,
  name           text NOT NULL,
  access         text NOT NULL CHECK (access IN ('granted', 'lost')),
  since          timestamptz NOT NULL,
  cause          text,
  verified_at    timestamptz,                        -- when the platform last confirmed this very account
  details        jsonb NOT NULL DEFAULT '{}',        -- such as login_customer_id
  UNIQUE (connection_id, external_id)
);
CREATE INDEX account_by_workspace ON account (workspace_id, account_id);

-- One consent under way. Only digests of what the browser holds are kept.
CREATE TABLE oauth_state (
  state_digest   bytea PRIMARY KEY,
  provider       text NOT NULL,
  workspace_id   uuid NOT NULL,
  user_id        uuid NOT NULL,
  session_id     text NOT NULL,
  connection_id  uuid,
  return_to      text NOT NULL,
  scopes         text[] NOT NULL,
  sealed_verifier bytea,                             -- PKCE, sealed with the keyring; bound to the digest
  created_at     timestamptz NOT NULL,
  expires_at     timestamptz NOT NULL,
  used_at        timestamptz,
  outcome        jsonb                               -- what the first callback was answered; the second gets the same
);
CREATE INDEX oauth_state_old ON oauth_state (expires_at);

-- Data that was never synced: open while `to_at` is null.
CREATE TABLE data_gap (
  gap_id         uuid PRIMARY KEY,
  account_id     uuid NOT NULL REFERENCES account ON DELETE CASCADE,
  connection_id  uuid NOT NULL,
  workspace_id   uuid NOT NULL,
  from_at        timestamptz NOT NULL,
  to_at          timestamptz,
  cause          text
);
CREATE UNIQUE INDEX data_gap_open ON data_gap (account_id) WHERE to_at IS NULL;
CREATE INDEX data_gap_by_workspace ON data_gap (workspace_id, gap_id);

-- One row per provider, shared by the replicas: the token bucket, and the breaker.
CREATE TABLE provider_health (
  provider       text PRIMARY KEY,
  tokens         double precision NOT NULL,
  tokens_at      timestamptz NOT NULL DEFAULT now(),
  blocked_until  timestamptz NOT NULL DEFAULT '-infinity',
  state          text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open')),
  reason         text,
  incident_id    uuid,
  incident_version bigint NOT NULL DEFAULT 0,
  since          timestamptz,
  affected       integer NOT NULL DEFAULT 0,
  next_canary_at timestamptz
);

-- Webhook messages that were taken, so that a replay changes nothing.
CREATE TABLE webhook_seen (
  provider       text NOT NULL,
  message_id     text NOT NULL,
  seen_at        timestamptz NOT NULL,
  PRIMARY KEY (provider, message_id)
);
CREATE INDEX webhook_seen_old ON webhook_seen (seen_at);

-- Calls that a platform counts per user (Outbrain's logins): the budget is theirs, so workspaces share it.
CREATE TABLE login_budget (
  provider       text NOT NULL,
  subject        text NOT NULL,
  at             timestamptz NOT NULL
);
CREATE INDEX login_budget_by_subject ON login_budget (provider, subject, at);
