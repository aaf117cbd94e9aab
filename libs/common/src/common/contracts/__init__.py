"""The contracts as services know them: declared once, in `wevion_tokens.contracts`, which strangers install too."""

from wevion_tokens.contracts import *  # noqa: F403  one list of names, there
from wevion_tokens.contracts import __all__ as __all__
