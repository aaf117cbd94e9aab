-- What is known of the grants that rules depend on: enough to say at any time which account works.
CREATE TABLE token (
  token_id     uuid PRIMARY KEY,
  kind         text NOT NULL,
  workspace_id uuid NOT NULL,
  provider     text NOT NULL,
  version      bigint NOT NULL,
  life         text NOT NULL CHECK (life IN ('live', 'expired', 'revoked')),
  cause        text,
  since        timestamptz NOT NULL,
  expires_at   timestamptz
);

-- An account and the grant that gives access to it. A rule can name an account before we have heard of it: then the
-- row is there without a grant, and its lock is what makes a new rule and the news of a death wait for each other.
CREATE TABLE account (
  account_id     uuid PRIMARY KEY,
  token_id       uuid,
  workspace_id   uuid,
  provider       text,
  external_id    text,
  name           text,
  access         text NOT NULL DEFAULT 'granted' CHECK (access IN ('granted', 'lost')),
  access_version bigint NOT NULL DEFAULT 0,
  access_since   timestamptz,
  access_cause   text
);
CREATE INDEX account_by_token ON account (token_id);

CREATE TABLE automation_rule (
  rule_id              uuid PRIMARY KEY,
  workspace_id         uuid NOT NULL,
  name                 text NOT NULL,
  enabled              boolean NOT NULL,       -- the author's own switch
  revision             bigint NOT NULL,        -- of the definition; raised by its author with each edit
  version              bigint NOT NULL,        -- of this row; on the wire
  person_paused_at     timestamptz,
  person_paused_by     uuid,
  auto_paused_at       timestamptz,
  auto_paused_revision bigint,                 -- the definition that was paused: another one is not resumed unasked
  auto_paused_account  uuid,                   -- what the pause was announced for; its end names the same
  auto_paused_token    uuid,
  created_at           timestamptz NOT NULL,
  updated_at           timestamptz NOT NULL,
  deleted_at           timestamptz,
  CHECK (num_nulls(auto_paused_at, auto_paused_revision, auto_paused_account, auto_paused_token) IN (0, 4))
);
CREATE INDEX automation_rule_by_workspace ON automation_rule (workspace_id, rule_id) WHERE deleted_at IS NULL;

CREATE TABLE rule_account (
  rule_id    uuid NOT NULL REFERENCES automation_rule ON DELETE CASCADE,
  account_id uuid NOT NULL,
  PRIMARY KEY (rule_id, account_id)
);
CREATE INDEX rule_account_by_account ON rule_account (account_id, rule_id);

-- Why a rule is paused: one row per account that does not work. The pause ends with the last one.
CREATE TABLE pause_reason (
  rule_id    uuid NOT NULL REFERENCES automation_rule ON DELETE CASCADE,
  account_id uuid NOT NULL,
  token_id   uuid NOT NULL,
  why        text NOT NULL,
  cause      text,
  version    bigint NOT NULL,
  since      timestamptz NOT NULL,
  PRIMARY KEY (rule_id, account_id)
);

CREATE TABLE rule_history (
  entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rule_id  uuid NOT NULL REFERENCES automation_rule ON DELETE CASCADE,
  version  bigint NOT NULL,
  at       timestamptz NOT NULL,
  what     text NOT NULL,
  words    text NOT NULL,
  actor    text                                -- a user's or a service's id; null: this system
);
CREATE INDEX rule_history_by_rule ON rule_history (rule_id, entry_id DESC);

-- One visible operation: all rules of a grant, an account or a workspace are settled by what is true now. The cursor
-- makes it resumable; a crash between two batches goes on with the next one.
CREATE TABLE settlement (
  settlement_id uuid PRIMARY KEY,
  workspace_id  uuid NOT NULL,
  token_id      uuid,
  account_id    uuid,
  why           text NOT NULL,
  fact_at       timestamptz NOT NULL,
  started_at    timestamptz NOT NULL,
  finished_at   timestamptz,
  after_rule    uuid,
  seen          integer NOT NULL DEFAULT 0,
  paused        integer NOT NULL DEFAULT 0,
  resumed       integer NOT NULL DEFAULT 0
);
CREATE INDEX settlement_open ON settlement (started_at) WHERE finished_at IS NULL;
CREATE INDEX settlement_by_workspace ON settlement (workspace_id, settlement_id DESC);

CREATE TABLE workspace_mode (
  workspace_id uuid PRIMARY KEY,
  mode         text NOT NULL CHECK (mode IN ('on', 'off', 'dry_run')),
  set_at       timestamptz NOT NULL,
  set_by       uuid NOT NULL
);
