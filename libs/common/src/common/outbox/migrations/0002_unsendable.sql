-- Events that Kafka can never take (too large). The row is kept whole; the topic's dead-letter topic says that it is here.
CREATE TABLE outbox_unsendable (
  event_id          uuid PRIMARY KEY,
  topic             text NOT NULL,
  key               text NOT NULL,
  aggregate_version bigint NOT NULL,
  payload           bytea,
  headers           jsonb NOT NULL,
  created_at        timestamptz NOT NULL,
  reason            text NOT NULL,
  set_aside_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
