-- A membership begins when the person accepts. Until then an invitation is all that a workspace has.

CREATE TABLE invitations (
    invitation_id uuid PRIMARY KEY,
    workspace_id  uuid NOT NULL REFERENCES workspaces,
    email         text NOT NULL,
    email_key     text NOT NULL,                            -- the address as compared, as in users
    role          text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    invited_by    uuid NOT NULL REFERENCES users,
    state         text NOT NULL CHECK (state IN ('open', 'accepted', 'declined', 'withdrawn')),
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    decided_at    timestamptz,
    secret_hash   bytea UNIQUE,                             -- SHA-256 of the mailed link's secret; null when the link has ended
    sealed_secret bytea,                                    -- the secret, until the notifier has the mail
    mail_due_at   timestamptz,                              -- null: no mail is owed
    mail_attempt  integer NOT NULL DEFAULT 0,
    CHECK ((state = 'open') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX invitations_one_open ON invitations (workspace_id, email_key) WHERE state = 'open';
CREATE INDEX invitations_open_by_address ON invitations (email_key) WHERE state = 'open';
CREATE INDEX invitations_mail_due ON invitations (mail_due_at) WHERE mail_due_at IS NOT NULL;
CREATE INDEX invitations_by_end ON invitations (expires_at);

-- The workspace that a person used last is where their next sign-in begins.
ALTER TABLE memberships ADD COLUMN last_used_at timestamptz;

-- Which workspaces a session has left: a JWT for one of them may be alive for an hour.
CREATE TABLE session_departures (
    session_id   uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    workspace_id uuid NOT NULL REFERENCES workspaces,
    left_at      timestamptz NOT NULL,
    PRIMARY KEY (session_id, workspace_id)
);
CREATE INDEX session_departures_by_workspace ON session_departures (workspace_id, left_at);
