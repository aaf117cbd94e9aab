"""Every notice has all of its words, escaped where they become HTML, and short enough for a chat."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.contracts import NoticeCode, RevocationCause, TokenKind
from notifier.app import load_texts
from notifier.core.preferences import zone_of
from notifier.core.rendering import NoticeView, Severity, ShownGap, Texts, Words

NOW = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
BERLIN = zone_of("Europe/Berlin")


@pytest.fixture(scope="module")
def texts() -> Texts:
    return load_texts("http://wevion.example/")


def _words(texts: Texts, code: NoticeCode, **more: Any) -> Words:
    defaults: dict[str, Any] = {
        "notice_id": UUID(int=1),
        "provider": "google-ads",
        "kind": TokenKind.PLATFORM_OAUTH,
        "token_id": UUID(int=7),
        "expires_at": NOW + timedelta(days=3),
        "account_names": ("Acme <b>& Sons</b>",),
        "gaps": (ShownGap("Acme", NOW - timedelta(hours=2), NOW),),
        "raised_at": NOW,
    }
    return texts.words(NoticeView(code=code, **(defaults | more)), zone=BERLIN, now=NOW)


@pytest.mark.parametrize("code", list(NoticeCode))
def test_every_notice_says_what_stops_and_how_to_fix_it(texts: Texts, code: NoticeCode) -> None:
    words = _words(texts, code)
    assert all((words.title, words.what, words.stops, words.fix, words.button, words.solved))
    assert words.fix_url.startswith("http://wevion.example/")
    assert "//connect" not in words.fix_url


@pytest.mark.parametrize("cause", [None, *RevocationCause])
def test_every_cause_of_a_revocation_has_words(texts: Texts, cause: RevocationCause | None) -> None:
    assert "Google Ads" in _words(texts, NoticeCode.TOKEN_REVOKED, cause=cause).what


def test_names_are_escaped_in_html_and_plain_in_text(texts: Texts) -> None:
    words = _words(texts, NoticeCode.TOKEN_REVOKED, cause=RevocationCause.USER_REVOKED)
    mail = texts.letter([words], follow_up=False).to("<script>")
    assert "Acme <b>& Sons</b>" in mail.text
    assert "Acme &lt;b&gt;&amp; Sons&lt;/b&gt;" in mail.html
    assert "<script>" not in mail.html
    assert "Acme <b>" not in texts.chat([words])


def test_a_member_is_told_whom_to_ask_about_an_integration(texts: Texts) -> None:
    words = _words(texts, NoticeCode.TOKEN_EXPIRED, provider="stripe", kind=TokenKind.INTEGRATION, can_fix=False)
    assert "Ask an admin or the owner" in words.fix
    assert words.fix_url == "http://wevion.example/settings/integrations"


@pytest.mark.parametrize(
    ("code", "more", "severity"),
    [
        (NoticeCode.TOKEN_EXPIRED, {}, Severity.CRITICAL),
        (NoticeCode.TOKEN_EXPIRING, {"critical": True}, Severity.CRITICAL),
        (NoticeCode.TOKEN_EXPIRING, {}, Severity.WARNING),
        (NoticeCode.DATA_GAP, {}, Severity.INFO),
        (NoticeCode.TOKEN_EXPIRED, {"resolved_at": NOW}, Severity.INFO),
    ],
)
def test_severity(texts: Texts, code: NoticeCode, more: dict[str, Any], severity: Severity) -> None:
    assert _words(texts, code, **more).severity is severity


@pytest.mark.parametrize("count", [1, 2, 6, 40])
def test_a_message_about_many_names_the_rest_by_title_and_fits_a_chat(texts: Texts, count: int) -> None:
    words = [_words(texts, NoticeCode.TOKEN_REVOKED, cause=RevocationCause.USER_REVOKED)] * count
    chat = texts.chat(words)
    assert len(chat) < 4_096
    mail = texts.letter(words, follow_up=False).to("Mia")
    assert ("See all" in mail.text) is (count > 5)
    assert "\n" not in mail.subject


@pytest.mark.parametrize(("name", "in_full"), [(3, 5), (70, 3), (400, 1), (600, 0)])
def test_a_chat_message_holds_what_fits_and_is_never_cut(texts: Texts, name: int, in_full: int) -> None:
    cause = RevocationCause.USER_REVOKED
    words = [_words(texts, NoticeCode.TOKEN_REVOKED, cause=cause, account_names=("N" * name,) * 8)] * 6
    chat = texts.chat(words)
    assert 0 < len(chat) <= 4_096
    assert chat.count("<a ") == chat.count("</a>") == in_full + 1
    assert chat.count("\u2022 Google Ads access was ended") == 6 - in_full


def test_a_subject_counts_what_follows(texts: Texts) -> None:
    dead, warning = _words(texts, NoticeCode.TOKEN_REVOKED), _words(texts, NoticeCode.TOKEN_EXPIRING)
    subjects = [texts.letter(items, follow_up=False).subject for items in ([warning], [warning, dead])]
    assert subjects == ["Google Ads access ends in 3 days", "Google Ads access was ended, and 1 more"]
    assert texts.letter([warning, warning], follow_up=False).subject == "2 connections need you"
    assert texts.letter([dead, dead], follow_up=True).subject == "2 of your connections work again"


def test_a_letter_is_rendered_once_and_addressed_to_each(texts: Texts) -> None:
    letter = texts.letter([_words(texts, NoticeCode.TOKEN_REVOKED)], follow_up=False, one_click=True)
    mia, max_ = letter.to("Mia & Co", "http://x/u?token=1&a=<b>"), letter.to("Max", "http://x/u?token=2")
    assert "Hello Mia & Co," in mia.text
    assert "Hello Mia &amp; Co," in mia.html
    assert "Stop mails like this one: http://x/u?token=1&a=<b>" in mia.text
    assert 'href="http://x/u?token=1&amp;a=&lt;b&gt;"' in mia.html
    assert "token=1" not in max_.html + max_.text
    assert mia.html.replace("Mia &amp; Co", "").count("Hello") == max_.html.count("Hello") == 1
    assert "Stop mails" not in texts.letter([_words(texts, NoticeCode.DATA_GAP)], follow_up=False).to("Mia").text


@pytest.mark.parametrize("code", list(NoticeCode))
def test_every_kind_of_notice_has_a_name_for_those_who_want_no_mails_of_it(texts: Texts, code: NoticeCode) -> None:
    assert texts.kind(code) in texts.unsubscribe_page("ask", kinds=[texts.kind(code)], reader="m***@x.example")
