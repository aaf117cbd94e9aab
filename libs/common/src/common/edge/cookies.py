"""The name of the session cookie, which stands here alone."""

SESSION_COOKIE = "wevion_session"
