"""Every Kafka topic: its key, how long it keeps, who writes and who reads. Tests and deployments read this."""

from dataclasses import dataclass, replace

from wevion_tokens.contracts import accounts, incidents, notices, rules, tokens
from wevion_tokens.contracts.base import EVENT_TYPES, EventBody
from wevion_tokens.contracts.vocabulary import TokenKind

_DECLARING = (accounts, incidents, notices, rules, tokens)  # importing them fills EVENT_TYPES

DAY_MS = 24 * 60 * 60 * 1000
RETENTION_MS = 14 * DAY_MS
"""Longer than the longest outage we plan for, so that no consumer misses what it slept through."""
DLQ_RETENTION_MS = 30 * DAY_MS
DLQ_SUFFIX = ".dlq"
DEFAULT_PARTITIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic as it has to exist on the cluster."""

    name: str
    key: str
    meaning: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    compacted: bool = False
    retention_ms: int = RETENTION_MS
    event_types: tuple[type[EventBody], ...] = ()

    @property
    def dlq(self) -> str:
        """Return where records of this topic go that a consumer cannot read or handle."""
        return self.name + DLQ_SUFFIX

    def config(self) -> dict[str, str]:
        """Return the broker's settings of this topic."""
        if self.compacted:
            # Small segments, because a reader that starts late reads them all, and the active one is never compacted.
            return {"cleanup.policy": "compact", "segment.ms": "3600000", "min.cleanable.dirty.ratio": "0.1"}
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}


_OWNERS = ("session-svc", "oauth-svc", "notifier")
_LIVE = "gateway"  # its live updates read every topic that they show

_DECLARED = (
    Topic(
        name="token.issued",
        key="token_id",
        meaning="a token came into being or was re-authorised",
        producers=_OWNERS,
        consumers=("expiry-watcher", "rule-pauser", "notifier", _LIVE),
    ),
    Topic(
        name="token.refreshed",
        key="token_id",
        meaning="a token was renewed silently",
        producers=_OWNERS,
        consumers=("expiry-watcher", "rule-pauser", "notifier", _LIVE),
    ),
    Topic(
        name="token.refresh_failed",
        key="token_id",
        meaning="a refresh failed and the grant is believed alive",
        producers=("oauth-svc",),
        consumers=(_LIVE,),
    ),
    Topic(
        name="token.expiring",
        key="token_id",
        meaning="full expiry comes nearer",
        producers=("expiry-watcher",),
        consumers=("notifier", _LIVE),
    ),
    Topic(
        name="token.expired",
        key="token_id",
        meaning="full expiry was reached",
        producers=("expiry-watcher", "session-svc", "notifier"),
        consumers=("rule-pauser", "notifier", _LIVE),
    ),
    Topic(
        name="token.revoked",
        key="token_id",
        meaning="a token ended before its time",
        producers=_OWNERS,
        consumers=("expiry-watcher", "rule-pauser", "notifier", _LIVE),
    ),
    Topic(
        name="token.state",
        key="token_id",
        meaning="the whole present state of each token",
        producers=_OWNERS,
        consumers=("every verifier", "expiry-watcher", "notifier", _LIVE),
        compacted=True,
    ),
    Topic(
        name="token.accounts",
        key="token_id/page",
        meaning="the accounts of a grant that has too many for one event, page by page",
        producers=("oauth-svc",),
        consumers=("expiry-watcher", "rule-pauser"),
        compacted=True,
    ),
    Topic(
        name="account.access_changed",
        key="account_id",
        meaning="one ad account of a living grant was lost or came back",
        producers=("oauth-svc",),
        consumers=("rule-pauser", "notifier", _LIVE),
    ),
    Topic(
        name="platform.incident",
        key="provider",
        meaning="a platform is in trouble, or is well again",
        producers=("oauth-svc",),
        consumers=("rule-pauser", "notifier", _LIVE),
    ),
    Topic(
        name="data_gap.closed",
        key="account_id",
        meaning="data of an account was lost between two moments",
        producers=("oauth-svc",),
        consumers=("notifier", _LIVE),
    ),
    Topic(
        name="rule.paused",
        key="rule_id",
        meaning="a rule was stopped because its token is dead",
        producers=("rule-pauser",),
        consumers=("notifier", _LIVE),
    ),
    Topic(
        name="rule.resumed",
        key="rule_id",
        meaning="a rule runs again",
        producers=("rule-pauser",),
        consumers=("notifier", _LIVE),
    ),
    Topic(
        name="notice.sent",
        key="notice_id",
        meaning="a notice reached a person on a channel",
        producers=("notifier",),
        consumers=(_LIVE,),
    ),
)


TOPICS: dict[str, Topic] = {
    topic.name: replace(topic, event_types=tuple(m for m in EVENT_TYPES.values() if topic.name == m.TOPIC))
    for topic in _DECLARED
}
"""Every topic by name."""


TOKEN_OWNERS = {
    TokenKind.SESSION: "session-svc",
    TokenKind.PLATFORM_OAUTH: "oauth-svc",
    TokenKind.INTEGRATION: "oauth-svc",
    TokenKind.TELEGRAM_LINK: "notifier",
}
"""Who owns the tokens of a kind and alone speaks of their life; expiry-watcher adds what it derives from the clock."""
_DERIVING = "expiry-watcher"


def writers(body: EventBody) -> frozenset[str]:
    """Return the services that may write such an event: the topic's producers, of tokens the one that owns the kind."""
    producers = frozenset(TOPICS[body.TOPIC].producers)
    if isinstance(body, tokens.TokenEvent):
        return producers & {TOKEN_OWNERS[body.token.kind], _DERIVING}
    return producers
