"""What is known about a platform besides its error codes: its name, how it is connected, when its versions end."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from common.contracts import TokenKind
from common.platforms.errors import Failure, Reply

Table = Callable[[Reply], Failure | None]
"""Reads an answer by the platform's own codes; None for a success, and for an answer that no row knows."""

Shape = Callable[[Reply], bool]
"""Whether an answer has a shape that only this platform's answers have."""

Quoted = Callable[[str], Failure | None]
"""Reads the platform's codes and fixed phrases in a text of people, in lower case with single spaces."""


class Connected(StrEnum):
    """How a person connects it."""

    CONSENT = "consent"
    CREDENTIALS = "credentials"
    LINK = "link"
    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class PossibleCause:
    """One documented reason why a platform may have ended the access without saying so, and what helps then."""

    words: str
    fix: str


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform, integration or channel that tokens belong to.

    Attributes:
        provider: its id in events, paths and databases.
        title: its name in its own spelling.
        kind: the kind of token that a connection to it is.
        connected: how a person connects it.
        names: how texts name it, as a pattern over lower-case text.
        meaning: its table of codes.
        shape: how its answers are known.
        quoted: how its answers are known when people quote them.
        family: platforms with the same family share users and grants (both of Google's); empty if it is alone.
        reasons: why it may have ended the access without saying so, as its documents list it.
        api_version: the version that is called by default; empty where it has none.
        input_codes: codes that are about the input of one call: ours to mend, and nothing about any token.
        testing_life: how long a grant lives while our own app is not published there; None where nobody says.
        sunsets: the last day on which each version is served, from its documents.

    """

    provider: str
    title: str
    kind: TokenKind
    connected: Connected
    names: re.Pattern[str]
    meaning: Table
    shape: Shape
    quoted: Quoted
    family: str = ""
    reasons: tuple[PossibleCause, ...] = ()
    api_version: str = ""
    testing_life: timedelta | None = None
    sunsets: Mapping[str, date] = field(default_factory=dict)
    input_codes: frozenset[str] = frozenset()
