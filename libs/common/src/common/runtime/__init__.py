"""What a process needs to run at all: time, ids, errors, retries, periodic work, life and death, settings."""
