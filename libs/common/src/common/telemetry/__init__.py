"""What a process says about itself: logs, metrics, trace context. Nothing here may ever carry a secret outside."""
