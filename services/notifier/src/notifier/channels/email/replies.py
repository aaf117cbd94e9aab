"""What a mail server's reply means: for the address, for this mail, or for us (RFC 5321, section 4.2, and RFC 3463)."""

import re
from enum import StrEnum

from notifier.core.delivery import Outcome, SendOutcome

_PERMANENT = 500
_SHUTTING_DOWN = 421
_SIGN_IN = frozenset({530, 534, 535, 538})
_ENHANCED = re.compile(r"\s*[245]\.(?P<subject>[0-9]{1,3})\.(?P<detail>[0-9]{1,3})(?![0-9.])")
_ADDRESSING, _POLICY = "1", "7"
_OF_THE_SENDER = frozenset({"7", "8"})
"""5.1.7 and 5.1.8 speak of the sender's address (RFC 3463, section 3.2)."""


class SmtpStage(StrEnum):
    """What the server replied to."""

    SIGN_IN = "sign_in"
    """The greeting, TLS or AUTH."""
    SENDER = "sender"
    RECIPIENT = "recipient"
    CONTENT = "content"


def read(code: int, text: str, stage: SmtpStage) -> Outcome:
    """Return what follows from a refusal.

    Only an enhanced code 5.1.x about the recipient says that an address is bad. 550 alone, and 5.7.x, may as well mean
    that our host is on a block list for a day, so the mail is kept or refused and the address stays good. What is
    refused before a recipient was named is about us: nothing is wrong with any mail.

    Args:
        code: the reply's three digits, not one of success.
        text: of the reply; it may begin with an enhanced code.
        stage: what it replies to.

    Returns:
        The outcome; its detail has the codes, and nothing of the text.

    """
    enhanced = _ENHANCED.match(text)
    detail = f"smtp_{code}" + (f"_{enhanced[0].strip()}" if enhanced else "")
    subject, number = (enhanced["subject"], enhanced["detail"]) if enhanced else ("", "")
    if code == _SHUTTING_DOWN:
        return Outcome(SendOutcome.CHANNEL_DOWN, detail=detail)
    if code in _SIGN_IN or (code >= _PERMANENT and stage in (SmtpStage.SIGN_IN, SmtpStage.SENDER)):
        return Outcome(SendOutcome.CHANNEL_DOWN, detail=detail, about_us=True)
    if code < _PERMANENT:
        return Outcome(SendOutcome.TRY_LATER, detail=detail)
    if subject == _POLICY or (subject == _ADDRESSING and number in _OF_THE_SENDER):
        return Outcome(SendOutcome.TRY_LATER, detail=detail, about_us=True)
    if subject == _ADDRESSING and stage is SmtpStage.RECIPIENT:
        return Outcome(SendOutcome.ADDRESS_DEAD, detail=detail)
    return Outcome(SendOutcome.MESSAGE_REFUSED, detail=detail)
