"""What every service counts."""

from common.telemetry import metrics

LOOP_LAG = metrics.gauge("wevion_event_loop_lag_seconds", "How late the event loop ran its last timer.")
