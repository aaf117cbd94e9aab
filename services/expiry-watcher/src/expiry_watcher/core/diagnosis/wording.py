"""How people, and Wevion's own texts, put it: expressions, the kind that each speaks for, and what is wrong."""

from common.contracts import TokenKind, Verdict
from expiry_watcher.core.diagnosis.evidence import FAIR, HINT, STRONG

_S, _P, _I, _T = (
    TokenKind.SESSION,
    TokenKind.PLATFORM_OAUTH,
    TokenKind.INTEGRATION,
    TokenKind.TELEGRAM_LINK,
)

PHRASES: tuple[tuple[str, TokenKind, float, Verdict | None, str], ...] = (
    (
        (
            r"(?:sign|log)(?:s|ged|ed|ging|ing|out|off)?[ -]?(?:me |us |him |her |them |you |everyone "
            r"|everybody |us all )?(?:out|in again|off)\b"
            r"|(?:sign|log)(?:s|ged|ed|ging|ing) (?:my|our|all|every\w*|the whole|half)(?: [\w']+){0,5} out\b"
            r"|not authenticated|no session cookie|two-factor|\b2fa\b"
            r"|(?:kick|throw|threw|thrown|boot)(?:s|ed|ing)? (?:me |us |him |her |them |everyone )?"
            r"(?:out|(?:back )?to the (?:start|first|welcome|home))"
            r"|(?:can't|cannot|can not|unable to|won't let me|impossible to) (?:log|sign)[ -]?in\b"
            r"|\bplease (?:log|sign)[ -]?in\b(?! (?:to|at|with) (?:your )?(?:facebook|meta|google|tiktok|snap|stripe))"
            r"|(?:log|sign)(?:ged|ed)[ -]in state|(?:enter|type|give) (?:my |our )?(?:e-?mail|user ?name)\b.{0,40}again"
            r"|(?:sign|log)[ -]?in (?:page|screen|form)"
            r"|(?:log|sign) (?:back )?in (?:again|every|twice|once more)|back (?:to|at|on) the (?:log|sign)[ -]?in"
            r"|(?:redirect|sent|taken|thrown|land)\w* (?:\w+ )?(?:to|at|on) (?:the )?(?:log|sign)[ -]?in"
            r"|(?:enter|type|give) (?:my |our |the )?(?:credentials|password|login)s?\b.{0,40}(?:each|every"
            r"|again|wevion)"
            r"|logged out|signed out|(?:keeps? asking|ask(?:s|ed)?|wants?|wanted) (?:me |us )?(?:to|for) "
            r"(?:log|sign|(?:my|the|a) password)|stay (?:logged|signed) in"
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
    (r"\bacting as\b|impersonat(?!ing a user's page)|\bas me\b", _S, STRONG, Verdict.SIGN_IN, "acting as a user"),
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
            r"ausgeloggt|abgemeldet|(?:neu|wieder|erneut) (?:anmelden|einloggen)|einloggen|\bsitzung"
            r"|disconness[oa]|(?:accedi|effettuare l'accesso) di nuovo"
            r"|d[ée]connect[ée]|se reconnecter|(?:iniciar|inicia|cerr\w+) sesi|\bsesi[óo]n\b"
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
            r"|permissions? (?:for|to|on) .{0,40}(?:removed|withdrawn|taken away|lost)"
        ),
        _P,
        FAIR - 0.5,
        Verdict.ACCOUNT_LOST_ACCESS,
        "access that is missing",
    ),
    (
        (
            r"(?:lacks?|missing|no|without|lost|insufficient|not have)(?: \w+){0,2} (?:permissions?|access) "
            r"(?:for|to|on|over) (?:the |this |that |our |my |one )?(?:\w+ )?"
            r"(?:ad ?account|advertiser|customer|act_|accounts?|page|file|folder)"
            r"|(?:removed?|revoked?|took away|withdrew|withdrawn) (?:our |my |the |wevion's )?(?:permissions?|access) "
            r"(?:for|to|on|over) (?:the |this |that |our |my |one )?(?:\w+ )?(?:account|advertiser|customer|page|file)"
        ),
        _P,
        FAIR + 0.5,
        Verdict.ACCOUNT_LOST_ACCESS,
        "access to one account that is missing",
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
            r"|full expiry (?:in|on)|\b(?:reach|near)\w* (?:its )?(?:full )?expiry"
            r"|\b(?:re-?connect\w*|re-?authori[sz]\w*|renew\w*)\b.{0,40}\b(?:in|within) \d+ (?:days?|hours?)"
        ),
        _P,
        FAIR,
        Verdict.EXPIRING,
        "an end that comes near",
    ),
    (r"telegram|t\.me/|/start\b", _T, STRONG, Verdict.NEW_LINK, "Telegram"),
    (r"(?<!ro)bot\b", _T, FAIR, Verdict.NEW_LINK, "a bot"),
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
            r"|insights"
        ),
        _P,
        HINT,
        None,
        "a sync",
    ),
    (r"\bspend\b|impressions|\bclicks?\b", _P, HINT, None, "figures"),
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
    (
        r"/auth/token|\b(?:our|my|the|wevion'?s?) (?:bearer|session token)\b",
        _S,
        STRONG,
        Verdict.SIGN_IN,
        "the bearer token of a session",
    ),
    (r"www-authenticate|error=\"?invalid_token", _S, FAIR, Verdict.SIGN_IN, "the refusal of a JWT"),
    (r"\bchat(?: message|ting)?\b(?! not found)(?!.{0,60}(?:telegram|bot))", _S, HINT, None, "the chat"),
    (r"\bunauthori[sz]ed\b|\b401\b", _S, HINT - 0.5, None, "a refusal for want of a valid token"),
    (r"deep link|one-time (?:code|link)|link code", _T, HINT, Verdict.NEW_LINK, "a one-time link"),
    (r"\bcharges?\b|revenue|subscription", _I, HINT - 0.5, None, "payments received"),
)
"""How people, and Wevion's own texts, put it."""

TOPICS = {
    "advertising",
    "payments",
    "figures",
    "a part of the product about advertising",
}
"""Words that occur in anything that is said about the product."""

PLACES = {"an integration"}
"""Words that say where, and not that something is wrong."""

OF_ANY_CONNECTION = frozenset({Verdict.ACCOUNT_LOST_ACCESS, Verdict.MISSING_PERMISSION, Verdict.EXPIRING})
"""What can be wrong with an integration as well as with a platform's connection."""
