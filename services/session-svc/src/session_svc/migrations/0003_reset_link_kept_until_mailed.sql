-- The link's secret, sealed, until the notifier has the message: a repeated hand-over is then the same message with
-- the same link, instead of a second mail that makes the first one's link worthless.
ALTER TABLE password_resets ADD COLUMN sealed_secret bytea;
