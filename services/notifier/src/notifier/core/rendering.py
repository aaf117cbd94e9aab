"""A notice and the texts make words, and words make messages. The texts are handed in; nothing is read here.

Each notice has a folder with one file per language, in which every phrase is a block. The layouts turn the phrases of
one or several notices into a mail (HTML and text), a Telegram message, or the app's answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import escape

from common.contracts import DetectedBy, NoticeCode, RevocationCause, TokenKind
from common.platforms import clause, reasons_of, title_of
from common.text import clean, is_plain_name, isolated
from notifier.core.conditions import DEAD_CODES, Resolution
from notifier.core.words import listed, moment, time_left

LANGUAGE = "en"
FULL_ITEMS = 5
"""A message about more notices than this names the rest by title."""
LONGEST_CHAT = 4_096
"""Telegram refuses a longer message; and one that was cut somewhere, because of the tag that it was cut in."""
TITLES = 20
NOT_RECOVERED = frozenset({Resolution.SUPERSEDED, Resolution.ENDED})
"""Endings of a notice after which nothing works again by it."""
PHRASES = ("title", "what", "stops", "fix", "button", "solved", "recovered")
_READER, _UNSUBSCRIBE = "\ue000", "\ue001"
"""Marks in a letter (from Unicode's private use area, so no word has them) for what is each reader's own."""


class Severity(StrEnum):
    """How a notice looks, and whether it passes quiet hours."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class ShownGap:
    """Data of one account that was never synced."""

    account_name: str
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeView:
    """All that the words of one notice depend on."""

    notice_id: UUID
    code: NoticeCode
    provider: str
    kind: TokenKind
    token_id: UUID | None = None
    stage: str = ""
    expires_at: datetime | None = None
    cause: RevocationCause | None = None
    detected_by: DetectedBy | None = None
    account_names: tuple[str, ...] = ()
    rules_paused: int = 0
    gaps: tuple[ShownGap, ...] = field(default=())
    tokens_affected: int = 0
    ours: bool = False
    raised_at: datetime
    resolved_at: datetime | None = None
    resolution: Resolution | None = None
    critical: bool = False
    can_fix: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a person reads of one notice."""

    title: str
    what: str
    stops: str
    fix: str
    button: str
    solved: str
    recovered: str
    fix_url: str
    severity: Severity
    accounts: str
    left: str
    when: str
    resolved: bool


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail's content; the envelope is the channel's business."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail whose words are the same for many readers: rendered once, and addressed to each."""

    subject: str
    text: str
    html: str

    def to(self, reader: str, unsubscribe_url: str = "") -> Mail:
        """Return the mail for one reader; one without a name is greeted as well."""
        reader = _plain(reader) or "there"
        return Mail(
            subject=self.subject,
            text=self.text.replace(_READER, reader).replace(_UNSUBSCRIBE, unsubscribe_url),
            html=self.html.replace(_READER, str(escape(reader))).replace(_UNSUBSCRIBE, str(escape(unsubscribe_url))),
        )


class Texts:
    """Every text there is, compiled once."""

    def __init__(self, sources: Mapping[str, str], *, public_url: str) -> None:
        self.public_url = public_url.rstrip("/")
        self._environment = Environment(
            loader=DictLoader(dict(sources)),
            autoescape=lambda name: name is not None and name.endswith(".html"),  # noqa: S701  plain text stays as it is
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for name in sources:  # a text with a mistake stops the start, not the first notice
            self._environment.get_template(name)

    def words(self, view: NoticeView, *, zone: ZoneInfo, now: datetime) -> Words:
        """Return the phrases of one notice for a reader in `zone` at `now`."""
        left = time_left(view.expires_at - now) if view.expires_at is not None else ""
        when = moment(view.expires_at, zone) if view.expires_at is not None else ""
        facts: dict[str, Any] = {
            "platform": title_of(view.provider),
            "accounts": listed([isolated(name) for name in view.account_names]),
            "account_count": len(view.account_names),
            "left": left,
            "when": when,
            "since": moment(view.raised_at, zone),
            "cause": view.cause.value if view.cause else "",
            "why": clause(view.cause, title_of(view.provider)),
            "reasons": [] if view.cause else [f"{one.words}: {one.fix}" for one in reasons_of(view.provider)],
            "rules": view.rules_paused,
            "gaps": [
                {
                    "account": isolated(gap.account_name),
                    "from": moment(gap.from_at, zone),
                    "to": moment(gap.to_at, zone),
                }
                for gap in view.gaps
            ],
            "tokens_affected": view.tokens_affected,
            "can_fix": view.can_fix,
            "ours": view.ours,
        }
        template = self._environment.get_template(f"{view.code.value.lower()}/{LANGUAGE}.txt")
        said = {phrase: _phrase(template, phrase, facts) for phrase in PHRASES}
        if view.resolution in NOT_RECOVERED:
            over = self._environment.get_template(f"over/{LANGUAGE}.txt")
            said["recovered"] = _phrase(over, view.resolution, facts)
        return Words(
            **said,
            fix_url=self.fix_url(view),
            severity=_severity(view),
            accounts=facts["accounts"],
            left=left,
            when=when,
            resolved=view.resolved_at is not None,
        )

    def letter(self, items: Sequence[Words], *, follow_up: bool, one_click: bool = False) -> Letter:
        """Return one mail about one or several notices. `one_click`: each reader has a link that stops such mails."""
        facts = self._layout_facts(items, follow_up=follow_up)
        facts |= {"reader": _READER, "unsubscribe_url": _UNSUBSCRIBE if one_click else ""}
        subject = self._render(f"layout/{LANGUAGE}/subject.txt", facts)
        facts["subject"] = subject
        return Letter(
            subject=subject,
            text=self._environment.get_template(f"layout/{LANGUAGE}/mail.txt").render(facts).strip() + "\n",
            html=self._environment.get_template(f"layout/{LANGUAGE}/mail.html").render(facts),
        )

    def chat(self, items: Sequence[Words], *, follow_up: bool = False) -> str:
        """Return one Telegram message in its HTML subset, with as many notices in full as it can hold."""
        facts = self._layout_facts(items, follow_up=follow_up)
        template = self._environment.get_template(f"layout/{LANGUAGE}/chat.html")
        texts = (template.render(facts | {"full": full}).strip() for full in range(FULL_ITEMS, -1, -1))
        return next((text for text in texts if len(text) <= LONGEST_CHAT), "")

    def direct(self, template: str, *, link: str, facts: Mapping[str, str]) -> Mail:
        """Return a one-off mail, such as a password reset. `link` is a secret: it goes into the mail and nowhere else.

        It greets nobody by name: others chose that name, and the first line of a mail is believed.
        """
        known: dict[str, Any] = {name: _plain(value) for name, value in facts.items()} | {"link": link}
        source = self._environment.get_template(f"{template}/{LANGUAGE}.txt")
        known |= {phrase: _phrase(source, phrase, known) for phrase in ("subject", "what", "button", "note")}
        return Mail(
            subject=known["subject"],
            text=self._environment.get_template(f"layout/{LANGUAGE}/direct.txt").render(known).strip() + "\n",
            html=self._environment.get_template(f"layout/{LANGUAGE}/direct.html").render(known),
        )

    def phrase(self, folder: str, block: str, **facts: Any) -> str:
        """Return one phrase of a channel's own texts."""
        return _phrase(self._environment.get_template(f"{folder}/{LANGUAGE}.txt"), block, facts)

    def kind(self, code: NoticeCode) -> str:
        """Return what notices of this code are about, as part of a sentence."""
        return _phrase(self._environment.get_template(f"{code.value.lower()}/{LANGUAGE}.txt"), "kind", {})

    def unsubscribe_page(self, step: str, **facts: Any) -> str:
        """Return the page behind the link of a mail that stops such mails: `ask`, `done` or `refused`."""
        facts |= {"step": step, "settings_url": f"{self.public_url}/settings/notifications"}
        return self._environment.get_template(f"unsubscribe/{LANGUAGE}.html").render(facts)

    def say(self, answer: str, /, **facts: Any) -> str:
        """Return one answer of the bot in a chat."""
        return self._render(f"telegram/{LANGUAGE}/{answer}.html", facts)

    def fix_url(self, view: NoticeView) -> str:
        """Return the link that fixes it, opening the platform's consent screen directly where there is one."""
        match view.code:
            case NoticeCode.PLATFORM_INCIDENT:
                path = "/connections"
            case NoticeCode.DATA_GAP:
                path = "/notices"
            case NoticeCode.TELEGRAM_BROKEN | NoticeCode.CHANNEL_DISABLED:
                path = "/settings/notifications"
            case _ if view.kind is TokenKind.INTEGRATION:
                path = "/settings/integrations"
            case _ if view.token_id is None:
                path = "/connections"
            case _:
                path = f"/connect/{quote(view.provider, safe='')}?connection_id={view.token_id}"
        return self.public_url + path

    def _layout_facts(self, items: Sequence[Words], *, follow_up: bool) -> dict[str, Any]:
        return {
            "items": list(items),
            "full": FULL_ITEMS,
            "titles": TITLES,
            "follow_up": follow_up,
            "settings_url": f"{self.public_url}/settings/notifications",
            "notices_url": f"{self.public_url}/notices",
        }

    def _render(self, name: str, facts: Mapping[str, Any]) -> str:
        return (
            _one_line(self._environment.get_template(name).render(facts))
            if name.endswith(".txt")
            else (self._environment.get_template(name).render(facts).strip())
        )


def _severity(view: NoticeView) -> Severity:
    if view.resolved_at is not None or view.code is NoticeCode.DATA_GAP:
        return Severity.INFO
    return Severity.CRITICAL if view.critical or view.code in DEAD_CODES else Severity.WARNING


def _phrase(template: Template, block: str, facts: Mapping[str, Any]) -> str:
    return _one_line("".join(template.blocks[block](template.new_context(dict(facts)))))


def _plain(name: str) -> str:
    """Return a name from outside as words of ours may hold it; nothing, where it is no name."""
    return isolated(clean(name)) if is_plain_name(name) else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
