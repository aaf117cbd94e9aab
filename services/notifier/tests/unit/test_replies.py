"""What a mail server's reply means, for the address, the mail and us."""

import pytest

from notifier.channels.email.replies import SmtpStage, read
from notifier.core.delivery import SendOutcome

SENDER, RECIPIENT, CONTENT, SIGN_IN = SmtpStage.SENDER, SmtpStage.RECIPIENT, SmtpStage.CONTENT, SmtpStage.SIGN_IN


@pytest.mark.parametrize(
    ("code", "text", "stage", "answer", "about_us"),
    [
        (
            550,
            "5.1.1 The email account that you tried to reach does not exist",
            RECIPIENT,
            SendOutcome.ADDRESS_DEAD,
            False,
        ),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound", RECIPIENT, SendOutcome.ADDRESS_DEAD, False),
        (553, "5.1.3 bad address syntax", RECIPIENT, SendOutcome.ADDRESS_DEAD, False),
        (551, "5.1.6 moved", RECIPIENT, SendOutcome.ADDRESS_DEAD, False),
        (550, "5.7.1 Service unavailable; client host blocked using Spamhaus", RECIPIENT, SendOutcome.TRY_LATER, True),
        (550, "5.7.26 unauthenticated", CONTENT, SendOutcome.TRY_LATER, True),
        (554, "5.7.1 looks like spam", CONTENT, SendOutcome.TRY_LATER, True),
        (550, "5.1.8 sender address rejected: domain not found", RECIPIENT, SendOutcome.TRY_LATER, True),
        (553, "5.1.7 bad sender", RECIPIENT, SendOutcome.TRY_LATER, True),
        (550, "No such user here", RECIPIENT, SendOutcome.MESSAGE_REFUSED, False),
        (550, "5.11.1 nonsense", RECIPIENT, SendOutcome.MESSAGE_REFUSED, False),
        (550, "5.1.1.1 nonsense", RECIPIENT, SendOutcome.MESSAGE_REFUSED, False),
        (550, "see 5.1.1 in our manual", RECIPIENT, SendOutcome.MESSAGE_REFUSED, False),
        (552, "5.2.2 mailbox full", RECIPIENT, SendOutcome.MESSAGE_REFUSED, False),
        (550, "5.2.1 mailbox disabled", RECIPIENT, SendOutcome.MESSAGE_REFUSED, False),
        (554, "5.6.0 bad content", CONTENT, SendOutcome.MESSAGE_REFUSED, False),
        (550, "5.1.1 said too late", CONTENT, SendOutcome.MESSAGE_REFUSED, False),
        (554, "5.7.1 sender refused", SENDER, SendOutcome.CHANNEL_DOWN, True),
        (554, "transaction failed", SENDER, SendOutcome.CHANNEL_DOWN, True),
        (550, "5.1.1 odd", SENDER, SendOutcome.CHANNEL_DOWN, True),
        (451, "4.7.1 greylisted", SENDER, SendOutcome.TRY_LATER, False),
        (451, "4.7.1 greylisted", RECIPIENT, SendOutcome.TRY_LATER, False),
        (452, "4.2.2 over quota", RECIPIENT, SendOutcome.TRY_LATER, False),
        (421, "4.7.0 too many connections", RECIPIENT, SendOutcome.CHANNEL_DOWN, False),
        (535, "5.7.8 bad credentials", SIGN_IN, SendOutcome.CHANNEL_DOWN, True),
        (530, "5.7.0 authenticate first", SENDER, SendOutcome.CHANNEL_DOWN, True),
        (554, "no SMTP service here", SIGN_IN, SendOutcome.CHANNEL_DOWN, True),
    ],
)
def test_a_reply(code: int, text: str, stage: SmtpStage, answer: SendOutcome, *, about_us: bool) -> None:
    found = read(code, text, stage)
    assert (found.answer, found.about_us) == (answer, about_us)
    assert set(found.detail) <= set("smtp_0123456789.")
