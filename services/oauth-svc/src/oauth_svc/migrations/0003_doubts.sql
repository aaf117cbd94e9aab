-- Refusals that are not believed while many grants of one platform are refused at once.
CREATE TABLE doubt (
  connection_id  uuid PRIMARY KEY REFERENCES connection ON DELETE CASCADE,
  provider       text NOT NULL,
  cause          text,                               -- what the refusal would mean, were it alone; null: ran out
  detected_by    text NOT NULL,
  code           text NOT NULL,
  since          timestamptz NOT NULL,
  asked_at       timestamptz,                        -- when the platform was last asked again
  word           text CHECK (word IN ('same', 'lives'))
);
CREATE INDEX doubt_by_provider ON doubt (provider, asked_at NULLS FIRST);

-- The platform's latest forced re-consent: grants that were not proved good since then went with it.
ALTER TABLE provider_health ADD COLUMN reconsent_at timestamptz;
