"""Which kind of token a place in the product works with: a page, a path of the API, or a product area in words."""

import re

from common.contracts import TokenKind
from expiry_watcher.core.diagnosis.signals import Signals, is_foreign

_S, _P, _I, _T = (
    TokenKind.SESSION,
    TokenKind.PLATFORM_OAUTH,
    TokenKind.INTEGRATION,
    TokenKind.TELEGRAM_LINK,
)

PATHS = (
    (r"^/connect/(?:stripe|google-drive)|^/webhooks/(?:stripe|google-drive)", _I),
    (r"^/settings/integrations|^/api/v1/integrations|^/integrations", _I),
    (r"^/settings/notifications|^/api/v1/telegram|^/webhooks/telegram", _T),
    (r"^/api/v1/auth|^/sign-in|^/login|^/chat|^/api/v1/chat|^/api/v1/admin|^/oauth2|^/api/v1/events|^/profile", _S),
    (r"^/connect/|^/api/v1/(?:connections|accounts|rules|data-gaps|providers)|^/connections|^/webhooks/", _P),
    (r"^/(?:ads-?manager|analytics|campaign|campaigns|campaign-?creator|reports?|rules|publish\w*)", _P),
)
"""Paths of the product and the API, the most special first."""

AREAS = (
    (r"integration", _I),
    (r"notification|telegram", _T),
    (r"\bchat\b|sign ?in|log ?in|account settings|profile", _S),
    (r"ads manager|analytics|campaign|report|rule|automation|publish|ad account|audience|creative", _P),
)
"""Product areas in words (row D1)."""


def kind_at(signals: Signals) -> TokenKind | None:
    """Return the kind that the given place works with; None if no place was given, or if it works with any."""
    where, area = signals.path or path_in(signals.text), signals.area
    found = next((kind for pattern, kind in PATHS if where is not None and re.search(pattern, where)), None)
    return found or next((kind for pattern, kind in AREAS if area is not None and re.search(pattern, area)), None)


def path_in(text: str) -> str | None:
    """Return a path of Wevion's that stands in a text: alone, or in an address that is not a platform's."""
    match = re.search(r"(?:^|\s|(https?://[^/\s]+))(/[a-z][a-z0-9/_-]{2,})", text)
    return None if match is None or (match[1] and is_foreign(match[0])) else match[2]
