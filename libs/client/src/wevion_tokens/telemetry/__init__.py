"""What a process says about itself: logs by the standard library, metrics for Prometheus, the trace context."""
