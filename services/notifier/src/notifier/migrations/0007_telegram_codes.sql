-- A waiting code ends with the session that made it, and with every session of its person.
ALTER TABLE telegram_code ADD COLUMN session_id uuid;
ALTER TABLE telegram_code ADD COLUMN epoch bigint NOT NULL DEFAULT 0;  -- the person's, when the code was made
-- The code itself, sealed, so that its own person sees the link again after a reload; gone once it is over.
ALTER TABLE telegram_code ADD COLUMN sealed bytea;
CREATE INDEX telegram_code_of_session ON telegram_code (session_id) WHERE state = 'waiting';
CREATE INDEX telegram_code_made ON telegram_code (user_id, created_at);
