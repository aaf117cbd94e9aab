-- The inventory: one row per token, of all four kinds, as the newest fact describes it.
CREATE TABLE token (
  token_id          uuid PRIMARY KEY,
  kind              text NOT NULL,
  provider          text NOT NULL,
  workspace_id      uuid NOT NULL,
  owner_user_id     uuid NOT NULL,
  version           bigint NOT NULL,
  whole             boolean NOT NULL,          -- the version's whole state (token.state) has been seen
  status            text NOT NULL,
  since             timestamptz NOT NULL,
  expires_at        timestamptz,
  access_expires_at timestamptz,
  cause             text,
  detected_by       text,
  missing_scopes    jsonb NOT NULL DEFAULT '[]',
  accounts          jsonb NOT NULL DEFAULT '[]',
  purged_at         timestamptz                -- a tombstone was seen; the version stays, so that late events stay late
);
CREATE INDEX token_by_workspace ON token (workspace_id, token_id) WHERE purged_at IS NULL;
CREATE INDEX token_by_account ON token USING gin (accounts jsonb_path_ops);
CREATE INDEX token_purged ON token (purged_at) WHERE purged_at IS NOT NULL;

-- The ladder's schedule: only tokens that lead to a full expiry, and only what the sweep needs. Narrow, because
-- every step is a non-HOT update: a wide row would be rewritten with it (twice the WAL, measured).
CREATE TABLE deadline (
  token_id   uuid PRIMARY KEY,
  expires_at timestamptz NOT NULL,
  due_at     timestamptz NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX deadline_due ON deadline (due_at);

-- The most urgent stage reached per token and expiry date; 0 means that full expiry was announced. Outlives the
-- deadline, so that a date which comes back (a late correction, a rebuild) is not announced twice.
CREATE TABLE warning_mark (
  token_id   uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  lead       interval NOT NULL,
  marked_at  timestamptz NOT NULL,
  PRIMARY KEY (token_id, expires_at)
);

CREATE TABLE history (
  token_id uuid NOT NULL,
  what     text NOT NULL,
  mark     text NOT NULL,
  version  bigint NOT NULL,
  first_at timestamptz NOT NULL,
  last_at  timestamptz NOT NULL,
  detail   jsonb NOT NULL,
  PRIMARY KEY (token_id, what, mark)
);

-- Stages that a workspace chose for itself; the others follow the setting.
CREATE TABLE workspace_ladder (
  workspace_id uuid PRIMARY KEY,
  stages       text[] NOT NULL,
  set_at       timestamptz NOT NULL,
  set_by       uuid NOT NULL
);
