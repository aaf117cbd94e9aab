-- Google's security events name a token in two ways: by its first characters (match_digest), and by the SHA-512 of the
-- SHA-512 of the whole token.
ALTER TABLE credential ADD COLUMN token_hash bytea;
CREATE INDEX credential_by_token_hash ON credential (token_hash) WHERE token_hash IS NOT NULL;

-- Credentials of grants that a platform's signal ended are kept for a while, because a signal can be mistaken.
CREATE INDEX connection_ended_by_signal ON connection (since) WHERE status = 'revoked' AND detected_by = 'webhook';
