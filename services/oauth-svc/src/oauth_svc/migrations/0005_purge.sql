-- Grants that are long dead: their credentials are forgotten, their rows (accounts, gaps, the way back) stay.
ALTER TABLE connection ADD COLUMN purged_at timestamptz;
CREATE INDEX connection_dead ON connection (since) WHERE status IN ('expired', 'revoked') AND purged_at IS NULL;
