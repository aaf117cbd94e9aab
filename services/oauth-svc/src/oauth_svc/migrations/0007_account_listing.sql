-- What became of the last listing of a connection's accounts: only of those where something is to be said.
CREATE TABLE account_listing (
  connection_id uuid PRIMARY KEY REFERENCES connection ON DELETE CASCADE,
  doubted_at    timestamptz                               -- a list lacked most accounts of a living grant: it is asked again
);
