-- What a person was given who asked a platform for the deletion of their data: a code that shows what became of it.
CREATE TABLE deletion_request (
  code           text PRIMARY KEY,
  provider       text NOT NULL,
  received_at    timestamptz NOT NULL,
  connections    uuid[] NOT NULL                     -- that the request covers; none when the person is not known here
);
