-- Long polling allows one reader of updates at a time: the row is the lease, the epoch fences a reader that lost it.
CREATE TABLE telegram_poller (
  only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  owner      uuid,
  epoch      bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO telegram_poller DEFAULT VALUES;
CREATE INDEX telegram_update_age ON telegram_update (received_at);
