-- What could not be asked about, and how far a long listing is.
ALTER TABLE account ADD COLUMN asked boolean NOT NULL DEFAULT true;  -- false: the platform could not be asked about it

ALTER TABLE account_listing ADD COLUMN began_at timestamptz;         -- a listing is under way since then
ALTER TABLE account_listing ADD COLUMN listed integer;               -- accounts that it has found so far
ALTER TABLE account_listing ADD COLUMN failure text;                 -- class and code of the last listing that failed
