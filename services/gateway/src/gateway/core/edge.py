"""Who may call: what a request says about the page that made it."""

from dataclasses import dataclass

from common.edge import SAFE_METHODS
from gateway.core.routing import Guard, PrefixRule

ORIGIN_MISSING = "origin_missing"
ORIGIN_NOT_ALLOWED = "origin_not_allowed"
CROSS_SITE = "cross_site"

_ELSEWHERE = frozenset({"cross-site", "same-site"})
"""A sibling host is no page of ours: `same-site` is as foreign as `cross-site`."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What a browser says about where a request comes from (RFC 6454 section 7; Fetch Metadata).

    Attributes:
        method: of the request.
        origin: the `Origin` header, or None.
        site: `Sec-Fetch-Site`, or empty: programs and old browsers do not send it.
        mode: `Sec-Fetch-Mode`, or empty.

    """

    method: str
    origin: str | None = None
    site: str = ""
    mode: str = ""


def refusal_of(sender: Sender, rule: PrefixRule, own: str, further: frozenset[str]) -> str | None:
    """Return the code of the refusal of a request that a page of somebody else made, or None.

    Args:
        sender: where it says that it comes from.
        rule: of its path.
        own: this origin.
        further: other origins whose pages may call.

    Returns:
        A code, or None if the request may go on.

    """
    origin = sender.origin.lower() if sender.origin is not None else None
    elsewhere = sender.site in _ELSEWHERE and origin not in further
    if sender.method in SAFE_METHODS:
        # Nothing is changed, but a page elsewhere could learn something: from the time it takes, or by embedding it.
        asks = rule.guard in {Guard.JWT, Guard.COOKIE} and sender.mode != "navigate"
        return CROSS_SITE if elsewhere and asks else None
    if not rule.check_origin:
        return None
    if origin is None:
        return ORIGIN_MISSING
    if origin != own and origin not in further:
        return ORIGIN_NOT_ALLOWED
    return CROSS_SITE if elsewhere else None


def way_back(path_qs: str) -> str:
    """Return where a person goes on after signing in.

    A callback's query holds the platform's code, which belongs into no other address and no history: the person begins
    the consent again.
    """
    path = path_qs.partition("?")[0]
    return path.removesuffix("/callback") if path.endswith("/callback") else path_qs
