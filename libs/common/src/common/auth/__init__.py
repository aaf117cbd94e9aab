"""The verifier as services know it. It is written once, in `wevion_tokens.auth`, which strangers install."""

from wevion_tokens.auth import *  # noqa: F403  one list of names, there
from wevion_tokens.auth import __all__ as __all__
from wevion_tokens.auth.feed import RevocationFeed as RevocationFeed
