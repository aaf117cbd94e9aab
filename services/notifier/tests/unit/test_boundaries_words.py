"""What the words are made of: the link for each case, the facts in them, and the layout of a message."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from common.contracts import NoticeCode, RevocationCause, TokenKind
from common.platforms import title_of
from notifier.app import load_texts
from notifier.core.conditions import Resolution
from notifier.core.rendering import NoticeView, Severity, ShownGap, Texts, Words
from notifier.core.words import listed, time_left

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
URL = "http://wevion.example"


@pytest.fixture(scope="module")
def texts() -> Texts:
    return load_texts(URL + "//")


def view(code: NoticeCode = NoticeCode.TOKEN_EXPIRING, **more: Any) -> NoticeView:
    members: dict[str, Any] = {
        "notice_id": UUID(int=1),
        "provider": "meta",
        "kind": TokenKind.PLATFORM_OAUTH,
        "token_id": UUID(int=7),
        "expires_at": NOW + timedelta(days=3),
        "account_names": ("Shop",),
        "raised_at": NOW,
    }
    return NoticeView(code=code, **(members | more))


def words(texts: Texts, code: NoticeCode = NoticeCode.TOKEN_EXPIRING, **more: Any) -> Words:
    return texts.words(view(code, **more), zone=UTC_ZONE, now=NOW)


@pytest.mark.parametrize(
    ("code", "more", "path"),
    [
        (NoticeCode.PLATFORM_INCIDENT, {}, "/connections"),
        (NoticeCode.DATA_GAP, {}, "/notices"),
        (NoticeCode.TELEGRAM_BROKEN, {"kind": TokenKind.TELEGRAM_LINK}, "/settings/notifications"),
        (NoticeCode.TOKEN_EXPIRED, {"kind": TokenKind.INTEGRATION}, "/settings/integrations"),
        (NoticeCode.TOKEN_EXPIRED, {"token_id": None}, "/connections"),
        (NoticeCode.TOKEN_EXPIRED, {}, f"/connect/meta?connection_id={UUID(int=7)}"),
        (NoticeCode.ACCOUNT_ACCESS_LOST, {"provider": "a/b"}, f"/connect/a%2Fb?connection_id={UUID(int=7)}"),
    ],
)
def test_the_link_opens_what_fixes_it(texts: Texts, code: NoticeCode, more: dict[str, Any], path: str) -> None:
    assert texts.fix_url(view(code, **more)) == URL + path


def test_a_warning_says_how_long_and_until_when(texts: Texts) -> None:
    said = words(texts)
    assert (said.left, said.when) == ("3 days", "Thu 17 Sep 2026, 12:00 (UTC)")
    assert said.title == "Meta access ends in 3 days"
    assert "(Shop) ends on Thu 17 Sep 2026, 12:00 (UTC), in 3 days." in said.what
    assert "for this account stop" in said.stops
    assert (said.accounts, said.resolved, said.severity) == ("Shop", False, Severity.WARNING)


def test_what_has_no_end_says_nothing_of_one(texts: Texts) -> None:
    said = words(texts, NoticeCode.TOKEN_REVOKED, expires_at=None, cause=RevocationCause.USER_REVOKED)
    assert (said.left, said.when) == ("", "")


@pytest.mark.parametrize(("names", "stops"), [(("A", "B"), "these 2 accounts stop"), ((), "this connection stop")])
def test_what_stops_is_counted(texts: Texts, names: tuple[str, ...], stops: str) -> None:
    assert stops in words(texts, account_names=names).stops


def test_a_gap_names_its_account_and_both_ends(texts: Texts) -> None:
    said = words(texts, NoticeCode.DATA_GAP, gaps=(ShownGap("Shop", NOW - timedelta(hours=2), NOW),))
    assert "Shop from Mon 14 Sep 2026, 10:00 (UTC) to Mon 14 Sep 2026, 12:00 (UTC)" in said.what


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ({"critical": True, "resolved_at": NOW}, Severity.INFO),
        ({"critical": True}, Severity.CRITICAL),
        ({}, Severity.WARNING),
    ],
)
def test_what_is_resolved_alarms_nobody(texts: Texts, more: dict[str, Any], severity: Severity) -> None:
    said = words(texts, **more)
    assert (said.severity, said.resolved) == (severity, "resolved_at" in more)
    assert words(texts, NoticeCode.DATA_GAP, critical=True).severity is Severity.INFO
    assert words(texts, NoticeCode.TOKEN_REVOKED).severity is Severity.CRITICAL


def test_a_chat_message_has_a_line_per_phrase_and_no_more(texts: Texts) -> None:
    said = words(texts)
    link = f'<a href="{said.fix_url}">{said.button}</a>'
    what = said.what.replace("'", "&#39;")
    assert texts.chat([said]) == f"🟠 <b>{said.title}</b>\n{what}\n{said.stops}\n{said.fix}\n{link}"
    assert texts.chat([said], follow_up=True) == f"✅ <b>{said.solved}</b>\n{said.recovered}"


def test_a_mail_greets_names_the_settings_and_ends_with_one_line_break(texts: Texts) -> None:
    said = words(texts)
    mail = texts.letter([said], follow_up=False).to("Mia")
    assert mail.text.startswith(f"Hello Mia,\n\n{said.title}\n{'-' * len(said.title)}\n{said.what}\n")
    assert mail.text.endswith(f"where: {URL}/settings/notifications\n")
    assert mail.subject == said.title
    assert f"<title>{said.title}</title>" in mail.html
    follow_up = texts.letter([said], follow_up=True).to("Mia")
    assert follow_up.text.startswith(f"Hello Mia,\n\n{said.recovered}\n")
    assert follow_up.subject == said.solved


@pytest.mark.parametrize(("count", "full", "titles"), [(5, 5, 0), (6, 5, 1), (25, 5, 20), (26, 5, 20)])
def test_five_notices_are_told_in_full_and_twenty_by_title(texts: Texts, count: int, full: int, titles: int) -> None:
    mail = texts.letter([words(texts)] * count, follow_up=False).to("Mia")
    assert mail.text.count("Renew Meta access: ") == full
    assert mail.text.count("\n- Meta access ends in 3 days: Shop") == titles
    assert (f"And {count - 5} more:" in mail.text) is (count > 5)
    assert (f"See all: {URL}/notices" in mail.text) is (count > 5)


def test_a_link_to_a_new_password_is_in_the_mail_and_not_in_its_subject(texts: Texts) -> None:
    mail = texts.direct("password_reset", link="http://x/?a=1&b=2", facts={})
    assert mail.subject == "Reset your Wevion password"
    assert mail.text.startswith("Hello,\n\nSomeone, probably you,")
    assert "\nChoose a new password: http://x/?a=1&b=2\n" in mail.text
    assert mail.text.endswith("asks you for this link.\n")
    assert 'href="http://x/?a=1&amp;b=2"' in mail.html


def test_an_invitation_says_who_invites_to_what_and_as_what(texts: Texts) -> None:
    facts = {"workspace": "Nord & S\u00fcd", "inviter": "Ada", "role": "admin"}
    mail = texts.direct("invitation", link="http://x/#token=1", facts=facts)
    assert mail.subject == "You are invited to a workspace in Wevion"
    assert (
        "Ada invites you to the workspace \u201c\u2068Nord & S\u00fcd\u2069\u201d in Wevion as an administrator"
        in mail.text
    )
    assert "Nord &amp; S\u00fcd" in mail.html
    assert "password for your" not in mail.text


@pytest.mark.parametrize(
    "name", ["", "open http://evil.example", "www.evil.example", "a\u202eb", "Bob\r\n\r\nYour account"]
)
def test_a_name_that_is_a_trick_is_not_said(texts: Texts, name: str) -> None:
    mail = texts.direct("invitation", link="http://x/", facts={"workspace": name, "inviter": name, "role": "member"})
    assert "An administrator invites you to a workspace in Wevion as a member." in mail.text
    greeted = texts.letter([words(texts)], follow_up=False).to(name)
    assert greeted.text.startswith("Hello there,\n\n")
    assert "evil" not in greeted.text + greeted.html + mail.text + mail.html


def test_a_name_of_another_direction_stays_in_its_place(texts: Texts) -> None:
    assert (
        texts.letter([words(texts)], follow_up=False)
        .to("\u05e9\u05dc")
        .text.startswith("Hello \u2068\u05e9\u05dc\u2069,")
    )


def test_the_bot_answers_in_lines(texts: Texts) -> None:
    assert texts.say("used").splitlines() == [
        "This link was used already; each works once.",
        "For a new one: Wevion → Settings → Notifications → Connect Telegram.",
    ]


def test_a_text_with_a_mistake_stops_the_start() -> None:
    with pytest.raises(Exception, match="unexpected '}'"):
        Texts({"x/en.txt": "{{ } }}"}, public_url=URL)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (60, "1 minute"),
        (119, "1 minute"),
        (120, "2 minutes"),
        (7_199, "1 hour and 59 minutes"),
        (7_200, "2 hours"),
        (7_259, "2 hours"),
        (86_400 + 3_599, "1 day"),
        (172_800 + 7_200, "2 days and 2 hours"),
        (7 * 86_400 - 1, "6 days and 23 hours"),
        (7 * 86_400, "7 days"),
    ],
)
def test_a_span_is_rounded_down_to_two_units(seconds: int, said: str) -> None:
    assert time_left(timedelta(seconds=seconds)) == said


def test_a_list_names_as_many_as_fit_and_counts_the_rest() -> None:
    assert listed(list("ABCDEFGHI")) == "A, B, C, D, E, F, G, H and 1 more"
    assert listed(["A", "B"], limit=1) == "A and 1 more"
    assert listed(["A"], limit=1) == "A"


def test_a_name_that_nobody_gave_is_made_readable() -> None:
    assert title_of("my-ad_network") == "My Ad Network"
    assert title_of("telegram") == "Telegram"


@pytest.mark.parametrize("code", [code for code in NoticeCode if code is not NoticeCode.DATA_GAP])
@pytest.mark.parametrize(
    ("resolution", "says"),
    [
        (Resolution.SUPERSEDED, "Something newer happened to Meta (Shop): a later notice says what."),
        (Resolution.ENDED, "Meta was disconnected in Wevion. Nothing is left to do."),
    ],
)
def test_what_did_not_come_back_is_not_said_to_be_renewed(
    texts: Texts, code: NoticeCode, resolution: Resolution, says: str
) -> None:
    said = words(texts, code, account_names=("Shop",), resolved_at=NOW, resolution=resolution)
    assert said.recovered == says
    assert words(texts, code, resolved_at=NOW, resolution=Resolution.RENEWED).recovered != says
