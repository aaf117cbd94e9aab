"""Where an error was met, and how Wevion and people put it."""

import re
from collections.abc import Iterator
from typing import Any

from common.contracts import NoticeCode, RevocationCause, TokenKind, Verdict
from common.platforms import PLATFORMS, kind_of, title_of
from expiry_watcher.core.diagnosis.evidence import CERTAIN, FAIR, HINT, STRONG, Evidence
from expiry_watcher.core.diagnosis.platforms import SPOKEN
from expiry_watcher.core.diagnosis.signals import Signals
from expiry_watcher.core.diagnosis.where import AREAS, PATHS, path_in

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

PHRASES: tuple[tuple[str, TokenKind, float, Verdict | None, str], ...] = (
    (
        (
            r"(?:sign|log)(?:s|ged|ed|ging|ing|out|off)?[ -]?(?:me |us |him |her |them |you |everyone "
            r"|everybody |us all )?(?:out|in again|off)\b"
            r"|(?:kick|throw|threw|thrown|boot)(?:s|ed|ing)? (?:me |us |him |her |them |everyone )?out"
            r"|(?:sign|log)[ -]?in (?:page|screen|form)"
            r"|(?:log|sign) (?:back )?in (?:again|every|twice|once more)|back (?:to|at|on) the (?:log|sign)[ -]?in"
            r"|(?:redirect|sent|taken|thrown|land)\w* (?:\w+ )?(?:to|at|on) (?:the )?(?:log|sign)[ -]?in"
            r"|(?:enter|type|give) (?:my |our |the )?(?:credentials|password|login)s?\b.{0,40}(?:each|every"
            r"|again|wevion)"
            r"|logged out|signed out|(?:keeps? asking|asks?) (?:me |us )?(?:to|for) (?:log|sign|(?:my|the"
            r"|a) password)|stay (?:logged|signed) in"
            r"|(?<!token: )\bsession (?:has |is |was )?(?:timed out|expired|ended|over|lost"
            r"|invalid)(?! on )|your session"
        ),
        _S,
        STRONG + 0.5,
        Verdict.SIGN_IN,
        "being signed out, or asked to sign in",
    ),
    (
        r"\bsession\b(?! has been invalidated| has expired on)(?!.{0,40}(?:facebook|meta))",
        _S,
        FAIR,
        Verdict.SIGN_IN,
        "a session",
    ),
    (
        (
            r"jwt|\bjw[skt][a-z]*(?:error|exception|expired|invalid|failed|key)|jwks?\b|json ?web ?token|\bjose\b"
            r"|bearer realm=\"?wevion|error=\"?invalid_token|invalidbearertoken|securitytoken\w+|idx10\d{3}"
            r"|signature(?:'s)? (?:has expired|verification failed|is invalid|resulted invalid"
            r"|validation failed|does not match)"
            r"|token's signature|expiredsignature|invalidsignature|immaturesignature|lifetime validation failed"
            r"|not enough segments|number of segments|token is not yet valid|token is expired by"
            r"|cannot handle token prior"
            r"|\"?\b(?:exp|nbf|iat|aud|iss)\b\"? claim|no authorization token was found"
            r"|token ?expired(?:error|exception)"
            r"|(?:signing|public) key (?:that matches|not found|with kid)|no applicable key"
            r"|kid \"?\w+\"? (?:not found|unknown)"
            r"|(?:token|jwt) (?:audience|issuer) (?:is )?(?:invalid|mismatch)|invalidaudience|invalidissuer|clock skew"
        ),
        _S,
        STRONG + 1,
        Verdict.SIGN_IN,
        "the session's JWT",
    ),
    (r"\bacting as\b|impersonat|\bas me\b", _S, STRONG, Verdict.SIGN_IN, "acting as a user"),
    (r"password", _S, HINT, None, "a password"),
    (
        r"\b(?:my|the) (?:login|account) (?:has )?(?:expired|timed out)|\btimed out\b.{0,30}\blog|\blog ?in\b",
        _S,
        HINT,
        Verdict.SIGN_IN,
        "a login",
    ),
    (
        (
            r"ausgeloggt|abgemeldet|(?:neu|wieder) anmelden|einloggen"
            r"|d[ée]connect[ée]|se reconnecter|(?:iniciar|cerr\w+) sesi"
        ),
        _S,
        FAIR,
        Verdict.SIGN_IN,
        "being signed out, or asked to sign in",
    ),
    (r"kampagne|campagne|campaña|werbekonto|anzeigen|annonces|anuncios", _P, HINT + 0.5, None, "advertising"),
    (
        r"abgelaufen|ung[üu]ltig|\bexpir[ée]e?\b|caducad[oa]",
        _P,
        HINT - 0.5,
        Verdict.REAUTHORIZE,
        "something that expired",
    ),
    (
        (
            r"\b(?:no|lost|without|removed|removes) (?:our |my |the |their |your |wevion's )?access\b"
            r"|\baccess (?:to .{0,40} )?(?:was |is |has been )?(?:lost|removed|denied|withdrawn|taken away)\b"
            r"|(?:no longer|not) (?:have|has) (?:access|permission)|permissions? (?:error|denied)|(?:took"
            r"|takes|taken) away .{0,20}access"
            r"|lost (?:my |the |its )?permission"
        ),
        _P,
        FAIR - 0.5,
        Verdict.ACCOUNT_LOST_ACCESS,
        "access that is missing",
    ),
    (
        (
            r"(?:scopes?|permissions?) (?:\w+ ){0,2}(?:missing|not granted|not given|declined|unticked)"
            r"|(?:missing|lacks?|without) (?:an? |the )?(?:\w+ )?(?:scope|permission)"
        ),
        _P,
        FAIR,
        Verdict.MISSING_PERMISSION,
        "a permission that was not given",
    ),
    (
        (
            r"\b(?:ends?|expires?|expiring|runs? out|will expire|lose[s]? access)\b.{0,20}\b(?:in \d|soon"
            r"|within|tomorrow"
            r"|today|on \w+day)|\bin \d+ (?:days?|hours?)\b.{0,60}\b(?:expire|end|lose|run out)|ends soon|expiring soon"
        ),
        _P,
        FAIR,
        Verdict.EXPIRING,
        "an end that comes near",
    ),
    (r"telegram|t\.me/|/start\b", _T, STRONG, Verdict.NEW_LINK, "Telegram"),
    (r"\bbot\b", _T, FAIR, Verdict.NEW_LINK, "a bot"),
    (
        (
            r"\blink\b.{0,40}(?:expired|already (?:been )?used|no longer valid|24 h|invalid)"
            r"|(?:expired|used|invalid|old) link"
        ),
        _T,
        HINT + 0.5,
        Verdict.NEW_LINK,
        "a link that does not work any more",
    ),
    (r"\bintegrations?\b", _I, FAIR, Verdict.REAUTHORIZE, "an integration"),
    (r"invoice|payment|billing|payout", _I, HINT, None, "payments"),
    (r"\bfiles?\b|\bfolder\b|spreadsheet|\bdocuments?\b", _I, HINT, None, "files"),
    (r"\bad ?accounts?\b|\bads?\b|campaign|advertis", _P, HINT + 0.5, Verdict.REAUTHORIZE, "advertising"),
    (
        r"\brules?\b.{0,40}(?:paus|stop)|(?:paus|stop)\w*.{0,40}\brules?\b|automations?",
        _P,
        FAIR - 0.5,
        Verdict.REAUTHORIZE,
        "paused rules",
    ),
    (
        (
            r"\bsync\w*|publish\w*|\bdata (?:gap|missing|is missing)|(?:no|missing) (?:new )?data"
            r"|spend|impressions|insights"
        ),
        _P,
        HINT,
        None,
        "a sync",
    ),
    (
        r"re-?connect|re-?authori[sz]|re-?consent|\bgrant\b|oauth|refresh[_ ]token|invalid_grant",
        _P,
        HINT,
        Verdict.REAUTHORIZE,
        "a connection's consent",
    ),
    (r"connect(?:ion|ed)?\b", _P, HINT - 0.5, None, "a connection"),
    (r"ads manager|analytics|campaign creator|\bdashboard", _P, HINT, None, "a part of the product about advertising"),
    (
        r"annual(?:ly)? (?:re-?)?consent|consent renewal|ads_(?:read|management)",
        _P,
        FAIR,
        Verdict.REAUTHORIZE,
        "a platform's consent",
    ),
    (r"(?:stay|be|am|are|not|isn't) (?:signed|logged) in", _S, FAIR, Verdict.SIGN_IN, "staying signed in"),
    (r"www-authenticate|error=\"?invalid_token", _S, FAIR, Verdict.SIGN_IN, "the refusal of a JWT"),
    (r"\bchat(?: message|ting)?\b(?! not found)(?!.{0,60}(?:telegram|bot))", _S, HINT, None, "the chat"),
    (r"\bunauthori[sz]ed\b|\b401\b", _S, HINT - 0.5, None, "a refusal for want of a valid token"),
    (r"deep link|one-time (?:code|link)|link code", _T, HINT, Verdict.NEW_LINK, "a one-time link"),
    (r"\bcharges?\b|revenue|subscription", _I, HINT - 0.5, None, "payments received"),
)
"""How people, and Wevion's own texts, put it."""

_DEAD_TOKEN = re.compile(
    r"token\b.{0,30}\b(?:expired|invalid|revoked|no longer valid|dead)"
    r"|(?:expired|invalid|revoked|unknown) (?:\w+ )?token"
)

_TROUBLE = re.compile(
    r"\b(?:401|403|unauthori[sz]ed|expired?|invalid|revoked|dead|died|no longer|stopped|fail(?:s|ed|ing)?|lost|broken"
    r"|(?:connect|authori[sz]e|consent|log ?in|sign ?in)\w* again|re-?connect\w*|re-?authori[sz]\w*|disconnected"
    r"|new (?:credentials|consent|password)|not (?:valid|work\w*|sync\w*|connected|accepted)|refused|removed|again)\b"
)


def observe(signals: Signals) -> Iterator[Evidence]:
    """Yield everything that a place or a wording shows."""
    yield from _problem_document(signals)
    yield from _given_provider(signals)
    yield from _codes(signals)
    yield from _names(signals)
    yield from _where(signals)
    yield from _phrases(signals)
    yield from _any_token(signals)


def _problem_document(signals: Signals) -> Iterator[Evidence]:
    """Yield our own problem+json says the kind itself."""
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


def _names(signals: Signals) -> Iterator[Evidence]:
    if signals.provider is not None:
        return
    for platform in SPOKEN:
        provider = platform.provider
        if platform.names.search(signals.text):
            weight = FAIR if provider == "telegram" else FAIR + 0.5
            yield Evidence(f"{title_of(provider)} is named.", {kind_of(provider): weight}, provider, only_place=True)


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
            yield Evidence(f"It speaks of {words}.", {kind: weight}, None, problem, only_place=weight < FAIR - 0.5)


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
