-- Where a workspace's own channels (Slack, webhooks) lead: one endpoint for each channel.
CREATE TABLE endpoint (
  endpoint_id   uuid PRIMARY KEY,
  workspace_id  uuid NOT NULL,
  channel       text NOT NULL,
  version       bigint NOT NULL DEFAULT 1,      -- raised by each change; an answer to an older one changes nothing
  config        jsonb NOT NULL,                 -- what may be shown
  sealed        bytea NOT NULL,                 -- the secrets, under the keyring
  state         text NOT NULL DEFAULT 'on',     -- on, disabled
  reason        text NOT NULL DEFAULT '',       -- why it is disabled: the channel's own code
  disablings    integer NOT NULL DEFAULT 0,     -- how often it was disabled: each time is a fact of its own
  failing_since timestamptz,                    -- since when no message was taken
  tested_at     timestamptz,
  updated_by    uuid NOT NULL,
  updated_at    timestamptz NOT NULL,
  UNIQUE (workspace_id, channel)
);
