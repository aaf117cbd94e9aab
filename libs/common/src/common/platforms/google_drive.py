"""Google Drive: `errors[].reason` (developers.google.com/drive/api/guides/handle-errors, read 2026-12-01)."""

import re

from common.contracts import TokenKind
from common.platforms import google
from common.platforms.errors import Failure, Reply
from common.platforms.platform import Connected, Platform


def meaning(reply: Reply) -> Failure | None:
    """Drive adds no code of its own: its reasons are those of Google's older APIs."""
    return google.api_meaning(reply)


def shape(reply: Reply) -> bool:
    """Reasons in `errors`, as Google's older APIs state them; of these, Wevion calls Drive alone."""
    return isinstance(reply.error.get("errors"), list)


def quoted(text: str) -> Failure | None:
    """Return one of its reasons by name."""
    return google.quoted(text, google.REASONS)


OWN = ("insufficientFilePermissions", "appNotAuthorizedToFile", "cannotDownloadFile", "domainPolicy")
"""Reasons that no other API of Google's gives."""


def only_its_own(text: str) -> bool:
    """Return whether a text quotes a reason that Drive alone gives."""
    return google.quoted(text, {code: google.REASONS[code] for code in OWN}) is not None


GOOGLE_DRIVE = Platform(
    provider="google-drive",
    title="Google Drive",
    kind=TokenKind.INTEGRATION,
    connected=Connected.CONSENT,
    names=re.compile(
        r"google ?drive|\bdrive api\b|googledrive|drive/v\d"
        r"|\bgdrive\b|google-drive|drive\.google|auth/drive|disabled drive apps"
        r"|googleapis\.com/(?:upload/)?drive|\b(?:my|our|the) drive\b|\bdrive (?:files?|folders?|picker|integration)"
    ),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
    family=google.FAMILY,
    testing_life=google.TESTING_LIFE,
    reasons=google.WHY,
)
