-- When an account's token was last handed out, and when a service last reported that the platform refused it: a data
-- gap begins at the last use that was not refused. `used_before` is the last such use before `served_at`.
ALTER TABLE account ADD COLUMN served_at timestamptz, ADD COLUMN used_before timestamptz, ADD COLUMN refused_at timestamptz;
