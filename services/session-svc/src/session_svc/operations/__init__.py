"""What session-svc can do: one function per verb, one transaction each. Load, decide in core, save and enqueue."""
