"""Every SQL statement of session-svc. Rows in, values out; it remembers and decides nothing."""
