"""Every SQL statement of this service. It remembers; it does not decide."""
