"""What session-svc counts."""

from common.telemetry import metrics
from session_svc.core import errors

SIGN_IN_OUTCOMES = (
    "signed_in",
    *(refusal.label() for refusal in (errors.WrongCredentialsError, errors.TooManyAttemptsError, errors.BusyError)),
)

SIGN_INS = metrics.counter(
    "wevion_session_sign_ins_total", "Sign-in attempts by outcome.", {"outcome": SIGN_IN_OUTCOMES}
)
MINTS = metrics.counter("wevion_session_jwts_minted_total", "JWTs handed out, by kind of caller.", ("kind",))
MINT_REFUSALS = metrics.counter(
    "wevion_session_mint_refusals_total", "Cookies for which no JWT was minted, by reason.", ("reason",)
)
ENDED = metrics.counter("wevion_session_ended_total", "Sessions that ended, by cause.", ("cause",))
EXTENDED = metrics.counter("wevion_session_extended_total", "Sessions whose use gave them seven days again.")
PASSWORD_QUEUE = metrics.gauge("wevion_session_password_checks_waiting", "Passwords waiting to be hashed or checked.")
SIGNING_KEY_AGE = metrics.gauge("wevion_session_signing_key_age_seconds", "How long the active key has been signing.")
SIGNING_KEYS = metrics.gauge("wevion_session_signing_keys", "Published signing keys by state.", ("state",))
RESET_MAILS = metrics.counter("wevion_session_reset_mails_total", "Password reset mails by outcome.", ("outcome",))
INVITATION_MAILS = metrics.counter(
    "wevion_session_invitation_mails_total", "Invitation mails by outcome.", ("outcome",)
)
