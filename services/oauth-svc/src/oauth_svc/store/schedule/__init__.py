"""The schedule: what is due, who holds it, and what was planned, by what is done with it."""

from oauth_svc.store.schedule.claim import Claim, OpenAttempt, claim_due, claim_one, providers_due
from oauth_svc.store.schedule.gauges import count_due
from oauth_svc.store.schedule.next import next_probe, next_refresh
from oauth_svc.store.schedule.probes import (
    claim_probes,
    drop_probe,
    look_at_now,
    look_once_more,
    plan_probe,
    probe_all_since,
    probe_now,
    providers_to_probe,
)
from oauth_svc.store.schedule.settle import (
    Held,
    NewPlan,
    NextRefresh,
    after_unknown,
    count_unknown,
    hold,
    nothing_to_refresh,
    put,
    refresh_now,
    release,
    release_backlog,
    settle,
    stop,
)

__all__ = [
    "Claim",
    "Held",
    "NewPlan",
    "NextRefresh",
    "OpenAttempt",
    "after_unknown",
    "claim_due",
    "claim_one",
    "claim_probes",
    "count_due",
    "count_unknown",
    "drop_probe",
    "hold",
    "look_at_now",
    "look_once_more",
    "next_probe",
    "next_refresh",
    "nothing_to_refresh",
    "plan_probe",
    "probe_all_since",
    "probe_now",
    "providers_due",
    "providers_to_probe",
    "put",
    "refresh_now",
    "release",
    "release_backlog",
    "settle",
    "stop",
]
