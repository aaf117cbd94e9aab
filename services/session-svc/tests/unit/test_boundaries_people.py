"""Passwords, addresses, clients, limits and refusals at their edges."""

from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest

from session_svc.core import clients, device, passwords, people
from session_svc.core.audit import Action, AuditedAct
from session_svc.core.clients import ServiceClient
from session_svc.core.errors import InvalidError, NoSessionError, TooManyAttemptsError
from session_svc.core.people import Member, Membership, Role, User
from session_svc.core.session import EndCause

NOW = datetime(2026, 9, 14, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("password", "email", "good"),
    [
        pytest.param("abcdeabcdeab", "x@y.example", True, id="five different characters"),
        pytest.param("abcdabcdabcd", "x@y.example", False, id="four different characters"),
        pytest.param("passwordabcdef", "x@y.example", True, id="six characters beside what is obvious"),
        pytest.param("passwordabcde", "x@y.example", False, id="five characters beside what is obvious"),
        pytest.param("anxxanyyanzz", "an@y.example", True, id="and so does one of two"),
        pytest.param("annxannyannz", "ann@y.example", True, id="a name of three letters occurs in words"),
        pytest.param("annawannaxannayannaz", "anna@y.example", False, id="a name of four letters is a name"),
        pytest.param("ANNAwANNAxANNAyANNAz", " Anna@y.example", False, id="however it is written"),
        pytest.param("abcdefghijkl", "x@y.example", True, id="twelve characters"),
        pytest.param("abcdefghijk", "x@y.example", False, id="eleven characters"),
        pytest.param("abcdefgh" * 32, "x@y.example", True, id="256 characters"),
        pytest.param("abcdefgh" * 32 + "a", "x@y.example", False, id="257 characters"),
    ],
)
def test_a_password_is_refused_from_its_edge_on(password: str, email: str, *, good: bool) -> None:
    if good:
        assert passwords.check_new(password, email=email) == password
    else:
        with pytest.raises(InvalidError) as refused:
            passwords.check_new(password, email=email)
        assert refused.value.field == "new_password"
        assert str(refused.value) == f"new_password: {refused.value.rule}"


def test_a_member_manages_nobody_and_an_admin_members() -> None:
    assert not any(people.may_manage(Role.MEMBER, target) for target in Role)
    assert [target for target in Role if people.may_manage(Role.ADMIN, target)] == [Role.ADMIN, Role.MEMBER]
    assert [target for target in Role if not people.may_manage(Role.OWNER, target)] == [Role.SUPPORT_ADMIN]
    assert all(people.may_manage(Role.SUPPORT_ADMIN, target) for target in Role)


def test_a_person_is_disabled_from_a_moment_on() -> None:
    ann = User(UUID(int=1), "ann@x.example", "Ann", False, 0, "UTC", "en", None)
    assert not ann.disabled
    assert replace(ann, disabled_at=NOW).disabled
    assert Member(ann, UUID(int=2), "Agency", Role.OWNER).user is ann
    assert Membership(UUID(int=2), "Agency", Role.MEMBER).role is Role.MEMBER


def test_a_clients_secret_is_as_long_as_a_key_and_two_live_at_once() -> None:
    """Two, so that a client can be given the next one before the last is taken from it."""
    assert (clients.MIN_SECRET_LENGTH, clients.MAX_LIVE_SECRETS) == (32, 2)


def test_a_client_is_granted_all_or_what_it_asks_for_and_has() -> None:
    sync = ServiceClient("sync", "Sync", ("a", "b"), None)
    assert clients.granted(sync, "") == ("a", "b")
    assert clients.granted(sync, "a b") == ("a", "b")
    assert clients.granted(sync, "a b c") is None
    assert clients.unknown_scopes(["tokens:read", "users:read"]) == ()


def test_a_line_of_the_trail_has_no_details_unless_it_says_so_and_nobody_adds_any() -> None:
    entry = AuditedAct(audit_id=UUID(int=1), at=NOW, action=Action.SIGNED_IN)
    assert entry.details == {}
    with pytest.raises(TypeError):
        cast("MutableMapping[str, str]", entry.details)["x"] = "y"


def test_a_refusal_says_how_long_and_why() -> None:
    assert str(TooManyAttemptsError(timedelta(seconds=89.6))) == "retry in 90 s"
    assert str(NoSessionError()) == "there is none"
    assert str(NoSessionError(EndCause.SIGNED_OUT)) == "signed_out"


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Something on Linux", "Linux"),
        ("Chromium/140", "Chromium"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 60),
    ],
)
def test_a_device_is_named_by_what_is_known_of_it(agent: str, said: str) -> None:
    assert device.describe(agent) == said


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (None, "Unknown device"),
        ("", "Unknown device"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/140 Safari/537 Edg/140", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15) AppleWebKit/605 Version/18 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18 like Mac OS X) Safari/604", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537", "Chrome on Android"),
        ("curl/8.14", "curl"),
        ("Something\x00 odd\n" + "x" * 100, "Something odd" + "x" * 47),
        ("\x00", "Unknown device"),
    ],
)
def test_device_is_named_as_people_know_it(agent: str | None, said: str) -> None:
    assert device.describe(agent) == said
