"""The only declaration of every event, topic and word that the services share. Pure: values and rules, no I/O."""

from common.contracts.accounts import AccountAccessChangedV1, DataGapClosedV1
from common.contracts.base import EVENT_TYPES, EventBody, Part, UtcDatetime
from common.contracts.envelope import (
    Event,
    Headers,
    InvalidEvent,
    attributes,
    decode,
    encode_body,
    encode_headers,
    explain,
)
from common.contracts.incidents import PlatformIncidentV1
from common.contracts.notices import NoticeSentV1
from common.contracts.rules import RulePausedV1, RuleResumedV1
from common.contracts.states import TRANSITIONS, Trigger, transition
from common.contracts.tokens import (
    AccountRef,
    TokenEvent,
    TokenExpiredV1,
    TokenExpiringV1,
    TokenIssuedV1,
    TokenRef,
    TokenRefreshedV1,
    TokenRefreshFailedV1,
    TokenRevokedV1,
    TokenStateV1,
)
from common.contracts.topics import DEFAULT_PARTITIONS, DLQ_SUFFIX, TOPICS, Topic
from common.contracts.vocabulary import (
    AccountAccess,
    DetectedBy,
    FailureClass,
    IncidentReason,
    IncidentState,
    IssuedHow,
    NoticeChannel,
    NoticeCode,
    RevocationCause,
    TokenKind,
    TokenStatus,
)

__all__ = [
    "DEFAULT_PARTITIONS",
    "DLQ_SUFFIX",
    "EVENT_TYPES",
    "TOPICS",
    "TRANSITIONS",
    "AccountAccess",
    "AccountAccessChangedV1",
    "AccountRef",
    "DataGapClosedV1",
    "DetectedBy",
    "Event",
    "EventBody",
    "FailureClass",
    "Headers",
    "IncidentReason",
    "IncidentState",
    "InvalidEvent",
    "IssuedHow",
    "NoticeChannel",
    "NoticeCode",
    "NoticeSentV1",
    "Part",
    "PlatformIncidentV1",
    "RevocationCause",
    "RulePausedV1",
    "RuleResumedV1",
    "TokenEvent",
    "TokenExpiredV1",
    "TokenExpiringV1",
    "TokenIssuedV1",
    "TokenKind",
    "TokenRef",
    "TokenRefreshFailedV1",
    "TokenRefreshedV1",
    "TokenRevokedV1",
    "TokenStateV1",
    "TokenStatus",
    "Topic",
    "Trigger",
    "UtcDatetime",
    "attributes",
    "decode",
    "encode_body",
    "encode_headers",
    "explain",
    "transition",
]
