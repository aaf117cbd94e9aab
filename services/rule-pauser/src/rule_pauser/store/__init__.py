"""Every SQL statement of this service. Functions work on the caller's connection and never commit."""
