"""What a platform's own language shows: answers by their shape, and codes that people quote.

What each code means is in `common.platforms`; here it only becomes evidence.
"""

import re
from collections.abc import Iterator

from common.contracts import TokenKind, Verdict
from common.platforms import PLATFORMS, Platform, google, google_drive, kind_of, rfc6749, title_of
from common.platforms.errors import Call, Failure, Reply
from expiry_watcher.core.diagnosis.evidence import ANSWERED, FAIR, STRONG, Evidence
from expiry_watcher.core.diagnosis.otherwise import OUTAGE, QUOTA, VALIDATION
from expiry_watcher.core.diagnosis.signals import Signals
from expiry_watcher.core.diagnosis.where import kind_at

_INSTEAD = {Verdict.RATE_LIMITED: QUOTA, Verdict.RETRY_LATER: OUTAGE}
"""What a platform's trouble is: a token has no part in it."""

SPOKEN = tuple(platform for platform in PLATFORMS.values() if platform.provider != "wevion")
"""Platforms whose language is looked for; Wevion's own answers say themselves what they are about."""


def observe(signals: Signals) -> Iterator[Evidence]:
    """Yield everything that a platform's own language shows."""
    reply = signals.reply
    shaped = [platform for platform in SPOKEN if platform.shape(reply)]
    if signals.provider in PLATFORMS and signals.provider != "wevion":
        shaped = [PLATFORMS[signals.provider]]
    for platform in shaped[:1]:
        failure = _read(platform, reply)
        if failure is not None:
            yield means(platform.provider, failure, failure.code or "this answer", ANSWERED)
            return
    named = [platform for platform in SPOKEN if about(signals, platform)]
    for platform in named or _unnamed(signals):
        failure = platform.quoted(signals.text)
        if failure is not None:
            yield means(platform.provider, failure, failure.code, STRONG if named else FAIR)
            return
    yield from _oauth(signals, named)


def _read(platform: Platform, reply: Reply) -> Failure | None:
    """Return what the answer means, also at a token endpoint: who pastes an answer does not say what was asked."""
    if not reply.document and not reply.refused:
        return None
    call = Call.REFRESH if reply.oauth_error in rfc6749.CODES or reply.oauth_error in google.OAUTH else reply.call
    failure = platform.meaning(Reply(reply.status, reply.document, reply.text, reply.headers, call))
    return None if failure is None or failure.unrecognised else failure


def _unnamed(signals: Signals) -> list[Platform]:
    """Platforms whose fixed phrases nobody else uses, for a text that names none."""
    if signals.provider is not None:
        return []
    first = ("google-drive",) if google_drive.only_its_own(signals.text) else ()
    return [PLATFORMS[name] for name in (*first, "google-ads", "meta", "stripe", "telegram", "taboola", "outbrain")]


def _oauth(signals: Signals, named: list[Platform]) -> Iterator[Evidence]:
    """Codes of OAuth: of the provider that is named, or of one of Google's, which say most of them."""
    given = signals.provider
    failure = google.oauth_quoted(signals.text)
    if failure is not None and given is not None and given not in PLATFORMS:
        yield Evidence(
            f"{failure.code} is OAuth's way to say: {failure.words}.", {kind_of(given): FAIR}, given, failure.verdict
        )
    elif failure is not None:
        names = {platform.provider for platform in named}
        own = next((name for name in ("google-drive", "google-ads", *names) if name in names), None) or _google_at(
            signals
        )
        if own is not None:
            yield means(own, failure, failure.code)
        else:
            yield Evidence(
                f"{failure.code} is OAuth's way to say: {failure.words}. Google Ads and Google Drive both say it.",
                {TokenKind.PLATFORM_OAUTH: FAIR, TokenKind.INTEGRATION: FAIR - 1.5},
                None,
                failure.verdict,
                failure.cause,
            )
    elif not named and given is None and re.search(r"\bgoogle\b", signals.text):
        own = _google_at(signals)
        if own is not None:
            yield Evidence(
                f"Google is named where {title_of(own)} is used.", {kind_of(own): FAIR}, own, only_place=True
            )
            return
        yield Evidence(
            "Google is named, and both Google Ads and Google Drive are Google's.",
            {TokenKind.PLATFORM_OAUTH: FAIR, TokenKind.INTEGRATION: FAIR - 1},
        )


def _google_at(signals: Signals) -> str | None:
    """Return which of Google's products an error of Google is about, by where it appeared."""
    return {TokenKind.INTEGRATION: "google-drive", TokenKind.PLATFORM_OAUTH: "google-ads"}.get(
        kind_at(signals) or TokenKind.SESSION
    )


def means(provider: str, failure: Failure, what: str, weight: float = STRONG) -> Evidence:
    """Evidence that one platform said this.

    Args:
        provider: the provider's id, such as `google-ads`.
        failure: what the answer means.
        what: the code or answer, as it is quoted to people.
        weight: how heavily it counts.

    """
    words = failure.words or "a refusal that its documents do not explain"
    said = f"{what} is {title_of(provider)}'s way to say: {words}."
    instead = _INSTEAD.get(failure.verdict)
    if failure.verdict is Verdict.OUR_BUG and failure.code in PLATFORMS[provider].input_codes:
        instead = VALIDATION
    if instead is not None:
        return Evidence(said, {}, provider, failure.verdict, instead=instead, force=weight)
    return Evidence(said, {kind_of(provider): weight}, provider, failure.verdict, failure.cause)


def about(signals: Signals, platform: Platform) -> bool:
    """Return whether the error is about this platform, as far as it says."""
    if signals.provider is not None:
        return signals.provider == platform.provider
    return platform.names.search(signals.text) is not None
