-- The newest incident of each platform. It pauses rules from `pausing_at` on: a fact that is stored and not computed
-- from the clock, so that neither a restart nor a changed setting moves a rule.
CREATE TABLE incident (
  provider    text PRIMARY KEY,
  incident_id uuid NOT NULL,
  version     bigint NOT NULL,
  since       timestamptz NOT NULL,
  open        boolean NOT NULL,
  pausing_at  timestamptz CHECK (pausing_at IS NULL OR open)
);
CREATE INDEX account_by_provider ON account (provider);

-- A settlement can be about the rules that a workspace has on one platform. Code that does not know the column settles
-- the whole workspace, which is more work and the same result.
ALTER TABLE settlement ADD COLUMN provider text;
