"""Where an error was met, and how Wevion and people put it."""

import re
from collections.abc import Iterator
from typing import Any

from common.contracts import NoticeCode, RevocationCause, TokenKind, Verdict
from common.platforms import PLATFORMS, kind_of, title_of
from common.platforms.platform import Connected
from expiry_watcher.core.diagnosis.evidence import CERTAIN, FAIR, HINT, STRONG, Evidence
from expiry_watcher.core.diagnosis.platforms import SPOKEN
from expiry_watcher.core.diagnosis.signals import Signals, is_foreign
from expiry_watcher.core.diagnosis.where import AREAS, PATHS, path_in
from expiry_watcher.core.diagnosis.wording import OF_ANY_CONNECTION, PHRASES, PLACES, TOPICS

_S, _P, _I, _T = (
    TokenKind.SESSION,
    TokenKind.PLATFORM_OAUTH,
    TokenKind.INTEGRATION,
    TokenKind.TELEGRAM_LINK,
)

CODES: dict[str, tuple[TokenKind, Verdict]] = {
    "token_missing": (_S, Verdict.SIGN_IN),
    "token_invalid": (_S, Verdict.SIGN_IN),
    "clock_skew": (_S, Verdict.OUR_BUG),
    "session_expired": (_S, Verdict.SIGN_IN),
    "session_revoked": (_S, Verdict.SIGN_IN),
    "session_missing": (_S, Verdict.SIGN_IN),
    "impersonation_ended": (_S, Verdict.SIGN_IN),
    "impersonation_refused": (_S, Verdict.NOT_ALLOWED),
    "user_disabled": (_S, Verdict.NOT_ALLOWED),
    "wrong_credentials": (_S, Verdict.SIGN_IN),
    "forbidden_role": (_S, Verdict.NOT_ALLOWED),
    "connection_dead": (_P, Verdict.REAUTHORIZE),
    "token_dead": (_P, Verdict.REAUTHORIZE),
    "access_lost": (_P, Verdict.ACCOUNT_LOST_ACCESS),
    "account_access_lost": (_P, Verdict.ACCOUNT_LOST_ACCESS),
    "rules_paused": (_P, Verdict.REAUTHORIZE),
    "data_gap": (_P, Verdict.UNKNOWN),
    "platform_incident": (_P, Verdict.RETRY_LATER),
    "telegram_broken": (_T, Verdict.NEW_LINK),
    "ntf-104": (_T, Verdict.NEW_LINK),
    "ntf-103": (_P, Verdict.EXPIRING),
    "prd-21": (_P, Verdict.EXPIRING),
}
"""Wevion's own codes, of answers, notices and help articles."""

NOTICES = {
    NoticeCode.TOKEN_EXPIRING: Verdict.EXPIRING,
    NoticeCode.TOKEN_EXPIRED: Verdict.REAUTHORIZE,
    NoticeCode.TOKEN_REVOKED: Verdict.REAUTHORIZE,
}
"""Notices about the two kinds that have a ladder: which of them, the provider tells."""

_DEAD_TOKEN = re.compile(
    r"token\b.{0,30}\b(?:expired|invalid|revoked|no longer valid|dead)"
    r"|(?:expired|invalid|revoked|unknown) (?:\w+ )?token"
)

_ADDRESS = re.compile(r"https?://[^\s\"'<>]+")

_TROUBLE = re.compile(
    r"\b(?:401|403|unauthori[sz]ed|expired?|invalid|revoked|dead|died|ended|no longer|stopped|fail(?:s|ed|ing)?"
    r"|lost|broken"
    r"|(?:connect|authori[sz]e|consent|log ?in|sign ?in)\w* again|re-?connect\w*|re-?authori[sz]\w*|disconnected"
    r"|nothing (?:is|was|gets|has)|(?:has|have|is|are|does|do|did|wo|ca)(?:n't| not)|fro(?:ze|zen)|turned red|changed"
    r"|disconnect\w*|left the|status red|red badge"
    r"|new (?:credentials|consent|password)|not (?:valid|work\w*|sync\w*|connected|accepted)|refused"
    r"|remov(?:e|ed|ing)|deauthori[sz]ed|again)\b"
)


def observe(signals: Signals) -> Iterator[Evidence]:
    """Yield everything that a place or a wording shows."""
    yield from _problem_document(signals)
    yield from _given_provider(signals)
    yield from _codes(signals)
    yield from _names(signals)
    yield from _credentials(signals)
    yield from _where(signals)
    yield from _phrases(signals)
    yield from _any_token(signals)


def _problem_document(signals: Signals) -> Iterator[Evidence]:
    """Yield what our own problem+json says: it names the kind itself."""
    said = _kind(signals.member("token_kind"))
    if said is None:
        return
    cause = signals.member("cause")
    yield Evidence(
        f"Wevion's own answer names the kind: {said.value}.",
        {said: CERTAIN},
        None,
        CODES.get(str(signals.member("code")), (said, _default(said)))[1],
        RevocationCause(cause) if cause in set(RevocationCause) else None,
    )


def _given_provider(signals: Signals) -> Iterator[Evidence]:
    if signals.provider is not None:
        kind = kind_of(signals.provider)
        yield Evidence(f"It is about {title_of(signals.provider)}.", {kind: STRONG}, signals.provider, only_place=True)


def _codes(signals: Signals) -> Iterator[Evidence]:
    for code, (kind, problem) in CODES.items():
        if re.search(rf"(?<![\w-]){code}(?![\w-])", signals.text):
            yield Evidence(f"`{code}` is a code of Wevion's.", {kind: STRONG}, None, problem)
    for notice, problem in NOTICES.items():
        if re.search(rf"\b{notice.lower()}\b", signals.text):
            yield Evidence(
                f"{notice} is a notice about a connection or an integration.",
                {_P: FAIR, _I: FAIR - 1.5},
                None,
                problem,
            )


def _credentials(signals: Signals) -> Iterator[Evidence]:
    """Yield what a login is about where a platform is named whose login or client is entered in Wevion."""
    for platform in SPOKEN:
        own = platform.connected is Connected.CREDENTIALS and platform.names.search(signals.text)
        if own and re.search(r"log ?in|password|user ?name|credentials|client[_ ](?:id|secret)", signals.text):
            words = f"Wevion signs in at {platform.title} with credentials that were entered."
            yield Evidence(words, {kind_of(platform.provider): STRONG + 1}, platform.provider, Verdict.REAUTHORIZE)


def _names(signals: Signals) -> Iterator[Evidence]:
    if signals.provider is not None:
        return
    for platform in SPOKEN:
        provider = platform.provider
        if platform.names.search(signals.text):
            weight = FAIR if provider == "telegram" else FAIR + 0.5
            yield Evidence(f"{title_of(provider)} is named.", {kind_of(provider): weight}, provider, only_place=True)
    for address in filter(is_foreign, _ADDRESS.findall(signals.text)):
        # What an address of a platform answers or shows is the platform's, in its words.
        for platform in [platform for platform in SPOKEN if platform.names.search(address)][:1]:
            words = f"An address of {platform.title} is named."
            yield Evidence(words, {kind_of(platform.provider): STRONG + 1.5}, platform.provider, only_place=True)


def _where(signals: Signals) -> Iterator[Evidence]:
    where = signals.path or path_in(signals.text)
    if where is not None:
        for pattern, kind in PATHS:
            if re.search(pattern, where):
                yield Evidence(
                    f"{where} works with this kind of token.",
                    {kind: FAIR},
                    _provider_in(where),
                    _default(kind),
                    only_place=True,
                )
                break
    if signals.area is not None:
        for pattern, kind in AREAS:
            if re.search(pattern, signals.area):
                yield Evidence(
                    f"{signals.area} works with this kind of token.",
                    {kind: FAIR},
                    None,
                    _default(kind),
                    only_place=True,
                )
                break
    refused = signals.status == 401 or _DEAD_TOKEN.search(signals.text)  # noqa: PLR2004
    if refused and where is not None and where.startswith("/api/"):
        yield Evidence("Wevion's API answers 401 when the session's JWT is refused.", {_S: FAIR}, None, Verdict.SIGN_IN)


def _phrases(signals: Signals) -> Iterator[Evidence]:
    for pattern, kind, weight, problem, words in PHRASES:
        if re.search(pattern, signals.text):
            place, topic = weight < FAIR - 0.5 or words in PLACES, words in TOPICS
            weights = {kind: weight}
            if kind is _P and problem in OF_ANY_CONNECTION:
                weights[_I] = max(weight - 1.5, HINT)
            yield Evidence(f"It speaks of {words}.", weights, None, problem, only_place=place, topic=topic)


def _any_token(signals: Signals) -> Iterator[Evidence]:
    if signals.status in {401, 403} or _TROUBLE.search(signals.text):
        yield Evidence("It says that something no longer works.", {}, trouble=True)
    if _DEAD_TOKEN.search(signals.text):
        yield Evidence(
            "It speaks of a token that no longer works, and does not say which.",
            {_P: HINT - 0.5, _S: HINT - 0.8, _I: HINT - 0.9, _T: HINT - 1.3},
        )


def _provider_in(path: str) -> str | None:
    """Return the provider that a path names, such as `/connect/taboola/callback`."""
    match = re.match(r"/(?:connect|webhooks)/([a-z-]+)", path)
    return match[1] if match and match[1] in PLATFORMS else None


def _kind(value: Any) -> TokenKind | None:
    return TokenKind(value) if value in set(TokenKind) else None


def _default(kind: TokenKind) -> Verdict:
    if kind is TokenKind.SESSION:
        return Verdict.SIGN_IN
    return Verdict.NEW_LINK if kind is TokenKind.TELEGRAM_LINK else Verdict.REAUTHORIZE
