"""What the notifier can do: one function per verb, one transaction each; the rules are in core."""
