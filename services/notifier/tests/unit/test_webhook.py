"""Signatures by the Standard Webhooks specification, with its own vectors; secrets that change; answers."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from notifier.channels.webhook import rules
from notifier.core.delivery import SendOutcome

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
#: From the specification's reference libraries (standard-webhooks, tests of each language).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1_614_265_330, tz=UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_specifications_vector() -> None:
    assert rules.sign([SECRET], MESSAGE_ID, AT, BODY) == SIGNATURE
    assert rules.headers([SECRET], MESSAGE_ID, AT, BODY) == {
        "Content-Type": "application/json",
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_a_secret_is_bytes_of_randomness_with_a_mark() -> None:
    secret = rules.secret_of(bytes(range(32)))
    assert secret.startswith("whsec_")
    assert base64.b64decode(secret.removeprefix("whsec_"), validate=True) == bytes(range(32))
    assert 24 <= rules.SECRET_BYTES <= 64


@pytest.mark.parametrize(
    ("message_id", "at", "body"),
    [("msg_x", AT, BODY), (MESSAGE_ID, AT + timedelta(seconds=1), BODY), (MESSAGE_ID, AT, BODY + b" ")],
)
def test_whatever_changes_changes_the_signature(message_id: str, at: datetime, body: bytes) -> None:
    assert rules.sign([SECRET], message_id, at, body) != SIGNATURE


def test_during_a_rotation_both_secrets_sign_and_the_newest_comes_first() -> None:
    stored = rules.rotated({"secret": SECRET}, "whsec_bmV3", NOW)
    assert rules.living_secrets(stored, NOW) == ["whsec_bmV3", SECRET]
    last = NOW + timedelta(hours=24) - timedelta(microseconds=1)
    assert rules.living_secrets(stored, last) == ["whsec_bmV3", SECRET]
    assert rules.living_secrets(stored, NOW + timedelta(hours=24)) == ["whsec_bmV3"]
    signed = rules.sign(rules.living_secrets(stored, NOW), MESSAGE_ID, AT, BODY)
    new = hmac.digest(b"new", f"{MESSAGE_ID}.1614265330.".encode() + BODY, hashlib.sha256)
    assert signed.split(" ") == ["v1," + base64.b64encode(new).decode(), SIGNATURE]


def test_a_second_rotation_forgets_the_oldest() -> None:
    twice = rules.rotated(rules.rotated({"secret": "whsec_YQ=="}, "whsec_Yg==", NOW), "whsec_Yw==", NOW)
    assert rules.living_secrets(twice, NOW) == ["whsec_Yw==", "whsec_Yg=="]


@pytest.mark.parametrize(
    ("status", "answer", "detail"),
    [
        (200, SendOutcome.ACCEPTED, ""),
        (204, SendOutcome.ACCEPTED, ""),
        (299, SendOutcome.ACCEPTED, ""),
        (301, SendOutcome.TRY_LATER, "http_301"),
        (400, SendOutcome.TRY_LATER, "http_400"),
        (404, SendOutcome.TRY_LATER, "http_404"),
        (410, SendOutcome.ADDRESS_DEAD, "gone"),
        (429, SendOutcome.TRY_LATER, "http_429"),
        (500, SendOutcome.TRY_LATER, "http_500"),
    ],
)
def test_what_an_answer_means(status: int, answer: SendOutcome, detail: str) -> None:
    outcome = rules.read(status, None)
    assert (outcome.answer, outcome.detail) == (answer, detail)


def test_a_receiver_is_waited_for_as_it_says_but_no_longer_than_a_day() -> None:
    assert rules.read(429, 40.0).retry_after_s == 40
    assert rules.read(503, 10.0**8).retry_after_s == 86_400
