-- The latest full expiry that was announced of a grant: a newer fact that does not move the end beyond it is no new life.
ALTER TABLE token ADD COLUMN passed_at timestamptz;
