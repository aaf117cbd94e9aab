-- Events on their way out: written in the transaction of the change, deleted after the broker has them.
CREATE TABLE outbox (
  id                bigint GENERATED ALWAYS AS IDENTITY,
  shard             smallint NOT NULL,               -- hash(key) % number of shards: one key stays in one shard
  topic             text NOT NULL,
  key               text NOT NULL,
  event_id          uuid NOT NULL,
  aggregate_version bigint NOT NULL,
  payload           bytea,                           -- null: a tombstone
  headers           jsonb NOT NULL DEFAULT '{}',
  created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (shard, id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

-- Who may send a shard now. The epoch fences: it rises with each new owner, and a write with an older one is void.
CREATE TABLE relay_lease (
  shard      smallint PRIMARY KEY,
  owner      uuid,
  epoch      bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity'
);

-- Events that had their effect. Written in the transaction of the effect.
CREATE TABLE inbox (
  consumer    text NOT NULL,
  event_id    uuid NOT NULL,
  accepted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (consumer, event_id)
);
CREATE INDEX inbox_accepted_at ON inbox (accepted_at);
