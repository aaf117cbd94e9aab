-- Our own copy of every token, from token.state and token.*: read again at the moment of each send.
CREATE TABLE token (
  token_id      uuid PRIMARY KEY,
  kind          text NOT NULL,
  provider      text NOT NULL,
  workspace_id  uuid NOT NULL,
  owner_user_id uuid NOT NULL,
  version       bigint NOT NULL,
  status        text NOT NULL,
  expires_at    timestamptz,
  cause         text,
  detected_by   text,
  accounts      jsonb NOT NULL DEFAULT '[]',
  outage        bigint NOT NULL DEFAULT 0,
  updated_at    timestamptz NOT NULL
);
CREATE INDEX token_living ON token (provider, workspace_id)
  WHERE status IN ('active', 'expiring', 'degraded') AND kind IN ('platform_oauth', 'integration');

-- The people of each workspace, as session-svc last told us. Kept when it is away (stale on error).
CREATE TABLE workspace (
  workspace_id uuid PRIMARY KEY,
  asked_for_at timestamptz NOT NULL,
  fetched_at   timestamptz,
  failures     integer NOT NULL DEFAULT 0,
  next_try_at  timestamptz NOT NULL
);
CREATE INDEX workspace_due ON workspace (next_try_at);

CREATE TABLE person (
  workspace_id uuid NOT NULL,
  user_id      uuid NOT NULL,
  name         text NOT NULL,
  email        text NOT NULL,
  role         text NOT NULL,
  time_zone    text,
  active       boolean NOT NULL,
  PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX person_user ON person (user_id);

-- An address that a mail server refused for good. Only its digest: a new address of the same person works again.
CREATE TABLE dead_address (
  user_id   uuid NOT NULL,
  channel   text NOT NULL,
  digest    bytea NOT NULL,
  since     timestamptz NOT NULL,
  PRIMARY KEY (user_id, channel, digest)
);

CREATE TABLE incident (
  incident_id     uuid PRIMARY KEY,
  provider        text NOT NULL,
  state           text NOT NULL,
  since           timestamptz NOT NULL,
  tokens_affected integer NOT NULL,
  version         bigint NOT NULL
);
CREATE INDEX incident_open ON incident (provider) WHERE state = 'opened';

-- One fact. Its identity is what makes a notice one.
CREATE TABLE condition (
  condition_id    uuid PRIMARY KEY,
  code            text NOT NULL,
  subject_id      uuid NOT NULL,
  episode         bigint NOT NULL,
  provider        text NOT NULL,
  kind            text NOT NULL,
  workspace_id    uuid,
  owner_user_id   uuid,
  token_id        uuid,
  stage           text NOT NULL DEFAULT '',
  expires_at      timestamptz,
  cause           text,
  detected_by     text,
  accounts        jsonb NOT NULL DEFAULT '[]',
  tokens_affected integer NOT NULL DEFAULT 0,
  raised_at       timestamptz NOT NULL,
  updated_at      timestamptz NOT NULL,
  resolved_at     timestamptz,
  resolution      text,
  held_by         uuid,                          -- an open incident of the platform that may explain this
  people_complete boolean NOT NULL DEFAULT true, -- false: the workspace's people were not known yet
  UNIQUE (code, subject_id, episode)
);
CREATE INDEX condition_open_of_token ON condition (token_id) WHERE resolved_at IS NULL;
CREATE INDEX condition_held ON condition (held_by) WHERE held_by IS NOT NULL;
CREATE INDEX condition_incomplete ON condition (workspace_id) WHERE NOT people_complete;

-- One fact, one person, one notice: the unique key is rule N4.
CREATE TABLE notice (
  notice_id    uuid PRIMARY KEY,
  condition_id uuid NOT NULL REFERENCES condition,
  user_id      uuid NOT NULL,
  workspace_id uuid NOT NULL,
  version      bigint NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL,
  read_at      timestamptz,
  UNIQUE (condition_id, user_id)
);
CREATE INDEX notice_of_user ON notice (user_id, notice_id DESC);

-- One message to one person on one channel. While it is open it gathers lines; so grouping needs no lock.
CREATE TABLE delivery (
  delivery_id    uuid PRIMARY KEY,
  user_id        uuid NOT NULL,
  workspace_id   uuid NOT NULL,
  channel        text NOT NULL,
  kind           text NOT NULL,                  -- alert, follow_up, direct
  edits          uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',  -- the delivery that this one edits
  state          text NOT NULL DEFAULT 'open',
  due_at         timestamptz NOT NULL,
  attempts       integer NOT NULL DEFAULT 0,
  epoch          bigint NOT NULL DEFAULT 0,      -- fences: rises with each claim, and every later write names it
  lease_until    timestamptz,
  reference      text NOT NULL DEFAULT '',       -- the channel's own id of the message
  reason         text NOT NULL DEFAULT '',
  template       text NOT NULL DEFAULT '',
  sealed         bytea,                          -- direct messages: the secret link, sealed; gone once sent
  created_at     timestamptz NOT NULL,
  first_tried_at timestamptz,
  finished_at    timestamptz
);
CREATE UNIQUE INDEX delivery_gathering ON delivery (user_id, workspace_id, channel, kind, edits)
  WHERE state = 'open' AND kind <> 'direct';
CREATE INDEX delivery_due ON delivery (channel, due_at) WHERE state IN ('open', 'retry');
CREATE INDEX delivery_leased ON delivery (channel, lease_until) WHERE state IN ('sending', 'calling');
CREATE INDEX delivery_recent ON delivery (user_id, channel, finished_at) WHERE state = 'sent';

CREATE TABLE delivery_line (
  delivery_id uuid NOT NULL REFERENCES delivery ON DELETE CASCADE,
  notice_id   uuid NOT NULL REFERENCES notice,
  channel     text NOT NULL,
  purpose     text NOT NULL,                     -- alert, follow_up
  stage       text NOT NULL DEFAULT '',
  state       text NOT NULL DEFAULT 'waiting',   -- waiting, sent, dropped, failed
  reason      text NOT NULL DEFAULT '',
  finished_at timestamptz,
  PRIMARY KEY (notice_id, channel, purpose, stage)
);
CREATE INDEX delivery_line_of ON delivery_line (delivery_id);

-- What a dead token took with it, folded into its notice.
CREATE TABLE paused_rule (
  rule_id   uuid NOT NULL,
  token_id  uuid NOT NULL,
  name      text NOT NULL,
  paused    boolean NOT NULL,
  version   bigint NOT NULL,
  PRIMARY KEY (rule_id)
);
CREATE INDEX paused_rule_of_token ON paused_rule (token_id) WHERE paused;

CREATE TABLE data_gap (
  gap_id       uuid PRIMARY KEY,
  condition_id uuid NOT NULL REFERENCES condition,
  account_id   uuid NOT NULL,
  account_name text NOT NULL,
  from_at      timestamptz NOT NULL,
  to_at        timestamptz NOT NULL
);
CREATE INDEX data_gap_of ON data_gap (condition_id);

-- Wishes: of a person in a workspace, or (user_id all zeros) of the workspace.
CREATE TABLE preference (
  workspace_id uuid NOT NULL,
  user_id      uuid NOT NULL,
  wishes       jsonb NOT NULL,
  updated_at   timestamptz NOT NULL,
  PRIMARY KEY (workspace_id, user_id)
);

-- Telegram: the one-time code (a token of kind telegram_link), and the link that it made (another).
CREATE TABLE telegram_code (
  token_id      uuid PRIMARY KEY,
  digest        bytea NOT NULL UNIQUE,           -- SHA-256 of the code; the code itself is nowhere
  user_id       uuid NOT NULL,
  workspace_id  uuid NOT NULL,
  version       bigint NOT NULL,
  state         text NOT NULL,                   -- waiting, used, expired, superseded, cancelled
  chat_id       bigint,                          -- the chat that opened it and was asked to confirm
  created_at    timestamptz NOT NULL,
  expires_at    timestamptz NOT NULL
);
CREATE UNIQUE INDEX telegram_code_waiting ON telegram_code (user_id) WHERE state = 'waiting';
CREATE INDEX telegram_code_expiry ON telegram_code (expires_at) WHERE state = 'waiting';

CREATE TABLE telegram_link (
  token_id      uuid PRIMARY KEY,
  user_id       uuid NOT NULL,
  workspace_id  uuid NOT NULL,
  chat_id       bigint NOT NULL,
  chat_name     text NOT NULL DEFAULT '',
  version       bigint NOT NULL,
  state         text NOT NULL,                   -- linked, broken, unlinked
  linked_at     timestamptz NOT NULL,
  ended_at      timestamptz
);
CREATE UNIQUE INDEX telegram_link_of_user ON telegram_link (user_id) WHERE state = 'linked';
CREATE INDEX telegram_link_of_chat ON telegram_link (chat_id) WHERE state = 'linked';

CREATE TABLE telegram_update (
  update_id   bigint PRIMARY KEY,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
