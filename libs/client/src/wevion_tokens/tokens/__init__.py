"""Access tokens for calls to platforms."""
