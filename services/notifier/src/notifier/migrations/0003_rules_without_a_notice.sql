-- When a rule's pause began: whether a notice of its token spoke of it. Pauses from before are not told anew.
ALTER TABLE paused_rule ADD COLUMN paused_at timestamptz NOT NULL DEFAULT '-infinity';
CREATE INDEX condition_of_token ON condition (token_id);
