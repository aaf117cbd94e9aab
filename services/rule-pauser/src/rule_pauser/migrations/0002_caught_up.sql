-- One row once the compacted topic was read to its end: from then on the events of the other topics are enough.
CREATE TABLE caught_up (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  at       timestamptz NOT NULL
);
