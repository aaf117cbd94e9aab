-- Browsers in which a person has signed in: they have a budget of attempts of their own, which nobody else can use up.
CREATE TABLE known_devices (
    secret_hash  bytea NOT NULL,                            -- SHA-256 of the device cookie's value
    user_id      uuid NOT NULL REFERENCES users,
    first_used_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, secret_hash)
);
CREATE INDEX known_devices_by_use ON known_devices (last_used_at);
