"""Wevion itself: sessions and their JWTs. Its answers are problem documents that name the kind of token."""

import re

from common.contracts import TokenKind
from common.platforms.errors import Failure, Reply
from common.platforms.platform import Connected, Platform


def meaning(_: Reply) -> Failure | None:
    """Wevion's own answers state their kind and code, so no table is needed."""
    return None


def shape(reply: Reply) -> bool:
    """Return a problem document that names the kind of token."""
    return "token_kind" in reply.object


def quoted(_: str) -> Failure | None:
    """Return its codes name the kind of token, which the diagnosis reads itself."""
    return None


WEVION = Platform(
    provider="wevion",
    title="Wevion",
    kind=TokenKind.SESSION,
    connected=Connected.SIGN_IN,
    names=re.compile(r"\bwevion\b"),
    meaning=meaning,
    shape=shape,
    quoted=quoted,
)
