"""The name of the session cookie, which stands here alone."""

from typing import Final

SESSION_COOKIE: Final = "wevion_session"
