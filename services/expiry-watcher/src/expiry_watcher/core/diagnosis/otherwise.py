"""What is no token's fault: errors that people meet beside tokens, what each is instead, and what helps.

The words of such errors often hold "token", "expired" or a platform's name, so they are known by their own patterns and
not by the absence of others.
"""

import re
from collections.abc import Iterator

from common.contracts import Verdict
from expiry_watcher.core.diagnosis.evidence import FAIR, STRONG, Evidence, Instead
from expiry_watcher.core.diagnosis.signals import Signals

MODEL = Instead("model_limit", "a limit of a language model, whose tokens are pieces of text", "Shorten the text.")
PAYMENT = Instead("payment", "a payment: a card, an invoice or a plan", "Look into billing, and at the card's bank.")
REJECTED = Instead("rejected_ad", "a platform's review of an ad or its content", "Change the ad as the review asks.")
PASSWORD = Instead("password_policy", "the rules for passwords", "Choose a password that the rules allow.")
VALIDATION = Instead("validation", "an input that is not accepted", "Correct the field that the message names.")
QUOTA = Instead("quota", "a limit of calls or space", "Wait until the limit is over, or ask for less at once.")
NETWORK = Instead("network", "the network: names, connections or certificates", "Check the network, then try again.")
OUTAGE = Instead("outage", "a service that is away for now", "Nothing to do here: try again when it is back.")
SOFTWARE = Instead("software", "a fault in a program", "Give the whole message to an engineer.")
OTHER_TOKEN = Instead("other_token", "a token that is not one of Wevion's four kinds", "Renew it where it was made.")
QUESTION = Instead("question", "a question about figures or the product", "Look it up in the reports or the help.")
DELIVERY = Instead("delivery", "how a platform delivers a campaign", "Look at the campaign's status at the platform.")
DISPLAY = Instead("display", "how a page looks or how fast it is", "Tell Wevion's support, with a picture of the page.")
FILE = Instead("file", "a file that cannot be read or is too large", "Change the file and upload it again.")


class _Pattern:
    """One thing that an error can be instead: any of these expressions in the text."""

    def __init__(self, instead: Instead, force: float, *expressions: str) -> None:
        self.instead = instead
        self.force = force
        self.expression = re.compile("|".join(expressions))


_PATTERNS = (
    _Pattern(
        MODEL,
        STRONG + 1,
        r"context[_ ](?:length|window)",
        r"max(?:imum)?[_ ](?:context|completion|output|new)?[_ ]?tokens",
        r"tokens? per minute",
        r"(?:prompt|input|message)s? (?:is |are )?too long",
        r"(?:prompt|completion|input|output)[_ ]tokens",
        r"\d+ tokens\b",
        r"\b(?:openai|gpt-?\d|chatgpt|llm|anthropic|claude|gemini)\b",
        r"tokeni[sz](?:er|ation)",
        r"language model",
    ),
    _Pattern(
        PASSWORD,
        STRONG,
        r"password (?:too|length)\b",
        r"password (?:does|do) not meet|password requirements",
        (
            r"password (?:must|is too|needs|should|has to|cannot|can't|policy|rules|requirements|strength"
            r"|was (?:used|found))"
        ),
        r"(?:weak|new|choose a|set a|stronger) password",
        r"passwords? (?:do not|don't|does not) match",
        r"password .{0,30}(?:characters|uppercase|digit|symbol|breach)",
        r"at least \d+ characters",
    ),
    _Pattern(
        PAYMENT,
        STRONG + 0.5,
        r"card[_ ](?:was |has |is |on file )?(?:been )?(?:declined|expired|will expire)",
        r"insufficient[_ ]funds",
        r"card_error",
        r"payment[_ ](?:failed|method|intent|was declined|could not|declined|overdue|due)",
        r"expired[_ ]card",
        r"past[_ ]due",
        r"\b(?:refund|vat|chargeback|dispute)\b",
        r"(?:find|send|download|pay|wrong|my|our) .{0,20}invoice|invoice (?:number|shows|for)",
        r"billing (?:address|threshold|limit|cycle|problem)",
        r"3d secure",
        r"upgrade (?:my|your|the|to)",
        r"(?:trial|plan|subscription) (?:has |will )?(?:ended|expired?s?|cancel|renew)",
        r"(?:unsettled|outstanding|account) balance",
        r"spend(?:ing)? (?:limit|cap)",
        r"charge (?:failed|was)",
        r"charged twice",
        r"\bpayout\b.{0,40}\b(?:delay|late|pending|arriv|paid|when)",
        r"credit card",
        r"(?:bank|card|issuer|stripe|paypal) (?:has |have )?(?:declined|refused|rejected) (?:the|your|my|our|a) ",
        r"declin\w+ (?:the|your|my|our|a) (?:card|payment)",
    ),
    _Pattern(
        REJECTED,
        STRONG,
        (
            r"\b(?:ads?|creatives?|campaigns?|images?|videos?|audiences?|landing pages?)\b.{0,25}\b(?:rejected"
            r"|disapproved|not approved|in review|under review|pending review|flagged|not delivering"
            r"|limited by policy)"
        ),
        r"disapproved",
        r"(?:advertising|ad|community|content) (?:policy|policies|standards|guidelines)",
        r"prohibited content",
        r"policy violation",
        r"violat\w* (?:our|the|its|meta's|google's|tiktok's)? ?\w* ?polic",
        r"trademark",
        r"\bad review\b",
        r"copyright|intellectual property|misleading (?:claim|content)|discriminat",
        r"\bstatus\W{1,3}rejected|rejected by (?:the |a )?review",
    ),
    _Pattern(
        FILE,
        STRONG,
        (
            r"(?:file|image|video|upload|attachment)s?\b.{0,30}\b(?:too (?:large|big)|corrupt|unsupported"
            r"|not supported|size limit|exceeds)"
        ),
        r"aspect ratio",
        r"unsupported (?:media|file|image|video)",
        r"upload failed|fail\w* to upload",
        r"files? (?:over|above|larger|bigger)|\b\d+ ?mb\b",
        r"\bcodec\b",
        r"\bcsv\b.{0,40}(?:column|row|import|delimiter|encoding)",
    ),
    _Pattern(
        OTHER_TOKEN,
        STRONG + 1.5,
        r"\b[cx]srf\b",
        r"anti-?forgery",
        r"authenticity token",
        r"\b(?:apns|fcm|firebase cloud|device|push|registration) token",
        r"^(?=.*\b(?:github|gitlab|bitbucket|npm|pypi|docker|kubernetes|kubectl|terraform|jenkins|sentry"
        r"|datadog|jira|aws)\b)"
        r"(?=.*(?:token|expired|unauthori[sz]ed|credentials|authentication|denied))",
        r"personal access token",
        r"kubeconfig",
        r"expiredtoken(?:exception)?\b.{0,40}\baws",
        r"security token included in the request",
        r"erc-?20",
        r"blockchain",
        r"\bnft\b",
        r"\bcrypto(?:currenc\w+|s)?\b(?!/)",
        r"(?:captcha|recaptcha|turnstile)",
        r"password reset (?:link|token)",
        r"reset (?:link|token)",
        r"invitation link",
        r"design tokens?",
    ),
    _Pattern(
        SOFTWARE,
        STRONG,
        r"unexpected token\b",
        r"json(?:\.|\s)?(?:parse|decode)",
        r"jsondecodeerror",
        r"syntaxerror",
        r"typeerror",
        r"referenceerror",
        r"(?:null|undefined) (?:is not|pointer|reference)",
        r"cannot read propert",
        r"nullpointer",
        r"indexerror",
        r"keyerror",
        r"attributeerror",
        r"valueerror",
        r"importerror",
        r"no module named",
        r"segmentation fault",
        r"stack overflow",
        r"out of memory",
        r"\boom",
        r"deadlock",
        r"unique constraint",
        r"duplicate key value",
        r'relation ".*" does not exist',
        r"no space left",
        r"disk (?:is )?full",
        r"migration",
        r"sqlstate",
        r"psycopg",
        r"asyncpg",
        r"kafka",
        r"rebalance",
        r"consumer lag",
        r"\bpod\b",
        r"crashloop",
        r"build failed",
        r"page (?:is blank|crashes|freezes|does not load)",
        r"button does nothing",
        r"white screen",
    ),
    _Pattern(
        DELIVERY,
        FAIR,
        r"learning (?:phase|limited)",
        r"not (?:delivering|spending|serving)",
        r"(?:low|limited|no) (?:delivery|impressions)",
        r"\bpixel\b.{0,40}\b(?:fir|track|install|event)",
        r"underspend|overspend|pacing",
        r"(?:shows?|says?|status)\W{1,3}(?:is )?\W?(?:processing|pending|queued|in review)",
    ),
    _Pattern(
        DISPLAY,
        FAIR,
        r"takes? (?:\w+ ){0,3}(?:seconds|minutes|forever|ages|long)\b",
        r"\b(?:very|so|too|really|extremely) slow\b|\bslow(?:ly)? (?:to load|loading)|loads? slowly|\blaggy\b",
        r"\bemojis?\b|\bfonts?\b|\blayout\b|\btypo\b|misaligned|wrong language|translation|overlap",
    ),
    _Pattern(
        VALIDATION,
        STRONG - 0.5,
        r"\b(?:validation|unprocessable)\b",
        r"\b422\b",
        (
            r"invalid (?:parameter|value|argument|format|email|date|url|budget|bid|json|targeting|currency"
            r"|phone|enum|input|request body|utm)"
        ),
        (
            r"(?:field|parameter|value|name|title|headline|text|budget|bid|date|url|end time|start time|email"
            r"|age)s?\b.{0,40}\b(?:is required|are required|must (?:be|not|have|contain|end|start)|cannot be"
            r"|can't be|may not be|too (?:long|short|small|low|high|large)|is not valid|is not a valid"
            r"|out of range)"
        ),
        r"missing required (?:field|parameter)",
        r"(?:enter|provide|choose|select|give|use|supply) (?:a |an )?(?:valid|different|unique)\b",
        r"minimum (?:daily )?budget",
        r"already (?:exists|in use|taken)",
        r"must be (?:at least|greater|less|between|one of|unique|in the future)",
        r"param.{0,20}\bmust\b",
        r"duplicate (?:name|campaign|entry)",
        r"audience (?:is )?too (?:small|narrow)",
        r"malformed",
        r"bad request: (?!chat|message|user|group)",
    ),
    _Pattern(
        QUOTA,
        STRONG - 0.5,
        r"quota",
        r"rate[- _]?limit",
        r"too many (?:requests|calls|attempts)",
        r"\b429\b",
        r"(?:request|call|api|user|hourly|daily) limit",
        r"throttl",
        r"slow down",
        r"(?:storage|space) (?:is )?(?:full|limit|exceeded)",
        r"limit (?:reached|exceeded)",
        r"(?:reached|exceeded|hit|over) (?:the|your|our|a) (?:\w+ ){0,3}(?:limit|maximum|allowance)",
        r"limit of \d+|\b(?:in|of|by) (?:your|our|my) (?:current )?plan\b",
        r"\bqps\b",
    ),
    _Pattern(
        NETWORK,
        STRONG,
        r"enotfound",
        r"econn(?:refused|reset|aborted)",
        r"etimedout",
        r"eai_again",
        r"getaddrinfo",
        r"\bdns\b",
        r"name (?:or service|resolution)",
        r"could not resolve",
        r"nodename nor servname",
        r"connection (?:was )?(?:refused|reset|timed out|aborted|closed)",
        r"network (?:error|is unreachable|timeout|request failed)",
        r"err_(?:name|internet|connection|network|ssl|cert)\w*",
        r"(?:ssl|tls|certificate)\b.{0,30}\b(?:verif|expired|handshake|invalid|error|failed|self)",
        r"certificate",
        r"no route to host",
        r"socket hang ?up",
        r"failed to fetch",
        r"read timed out",
        r"connect timeout",
        r"max retries exceeded",
        r"\b(?:wi-?fi|vpn|firewall|proxy)\b",
        r"nxdomain",
        r"cors\b",
        r"you are offline",
        r"no internet",
    ),
    _Pattern(
        OUTAGE,
        STRONG - 0.5,
        r"\bis \w+ down\b|nothing loads",
        r"\b50[0234]\b",
        r"bad gateway",
        r"service (?:temporarily )?unavailable",
        r"gateway time-?out",
        r"internal server error",
        r"\b(?:is|are|seems|still) down\b",
        r"outage",
        r"\bincident\b",
        r"maintenance",
        r"temporarily unavailable",
        r"status page",
        r"degraded",
        r"backend_?error",
        r"try again later",
        r"having (?:issues|problems|trouble)",
        r"unknown error occurred",
    ),
    _Pattern(
        QUESTION,
        FAIR,
        r"(?:clicks|conversions|numbers|figures|data|spend|impressions)\b.{0,60}\b(?:differ|mismatch|discrepan)",
        (
            r"(?:clicks|conversions|numbers|figures|data|spend|impressions)\b.{0,60}\b(?:do not|does not|don't"
            r"|doesn't) match"
        ),
        r"\bhow (?:many|much|is|are|does)\b",
        r"\bhow (?:do|can) (?:i|we) (?!re-?(?:connect|auth)|connect|sign|log|link|unlink)",
        r"\bwhat (?:is|are|was|does|were)\b",
        (
            r"\bwhy (?:is|are|did|does|was) (?:my|our|the) (?:roas|cpc|cpm|ctr|cpa|spend|conversion|cost|reach"
            r"|impression|click|number|figure|report|budget|campaign)"
        ),
        r"which (?:campaign|ad|audience|report)",
        r"\b(?:roas|cpc|cpm|ctr|cpa)\b",
        r"numbers? (?:differ|do not match|don't match|look wrong)",
        r"attribution",
        r"export (?:to|as|the)",
        r"time ?zone",
        (
            r"(?:change|add|rename|delete|remove|invite) (?:a |my |our |the )?(?:column|widget|chart|user"
            r"|member|logo|name|colou?r|report|dashboard|language|currency)"
        ),
        r"can (?:i|we|you) (?:add|change|export|filter|schedule|see|compare|get a)",
        r"feature request",
        r"\b(?:is|are) there (?:a|an|any) (?!way|problem|issue|reason|error|fault)",
        r"\bdo(?:es)? (?:you|wevion) (?:have|support|offer)\b|(?:a|the) demo\b|demo (?:for|call)\b|\bgdpr\b",
        r"dark mode",
        r"compare .{0,30}(?:month|week|year)",
    ),
)


def observe(signals: Signals) -> Iterator[Evidence]:
    """Yield everything that shows another fault than a token's."""
    for pattern in _PATTERNS:
        match = pattern.expression.search(signals.text)
        instead, weight = pattern.instead, pattern.force
        if match:
            yield Evidence(
                f'"{match[0]}" speaks of {instead.words}.', {}, None, Verdict.NOT_A_TOKEN, instead=instead, force=weight
            )
    if signals.status is not None and signals.status >= 500:  # noqa: PLR2004 - HTTP's own border
        yield Evidence(
            f"{signals.status} is a server's own trouble.", {}, None, Verdict.NOT_A_TOKEN, instead=OUTAGE, force=STRONG
        )
    elif signals.status == 429:  # noqa: PLR2004
        yield Evidence("429 is a limit of calls.", {}, None, Verdict.NOT_A_TOKEN, instead=QUOTA, force=STRONG)
    elif signals.status == 422:  # noqa: PLR2004
        yield Evidence("422 is an input.", {}, None, Verdict.NOT_A_TOKEN, instead=VALIDATION, force=STRONG - 0.5)
