-- The self-test of Google's stream of security events: when it was asked for, and when the event arrived.
CREATE TABLE risc_stream (
  provider       text PRIMARY KEY,
  asked_at       timestamptz NOT NULL,
  verified_at    timestamptz,
  verified_state text                                -- of the event that arrived last
);
