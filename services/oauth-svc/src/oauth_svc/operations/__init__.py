"""What oauth-svc can do: load, decide (core), save and enqueue; one transaction per verb."""
