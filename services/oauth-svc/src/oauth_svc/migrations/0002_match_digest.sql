-- A security event may name one refresh token; it is found by a digest of its first characters.
CREATE INDEX credential_by_match ON credential (match_digest) WHERE match_digest IS NOT NULL;
