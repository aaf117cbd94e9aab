-- A refusal without a stated cause no longer means that the token ran out: that is said by itself. Null in rows of an
-- older version, where a missing cause did mean it.
ALTER TABLE doubt ADD COLUMN ran_out boolean;
