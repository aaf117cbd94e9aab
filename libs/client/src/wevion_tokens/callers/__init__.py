"""Who calls your service: a verifier that keeps itself current, and middleware for ASGI and aiohttp.

A refusal is a problem document (RFC 9457) that says why and what helps; hand it to your caller as it is.
"""

from wevion_tokens.auth import Access, Actor, Principal, check
from wevion_tokens.callers.asgi import VerifierMiddleware
from wevion_tokens.callers.live import LiveVerifier
from wevion_tokens.callers.web import PRINCIPAL, verified
from wevion_tokens.problems import Problem

__all__ = [
    "PRINCIPAL",
    "Access",
    "Actor",
    "LiveVerifier",
    "Principal",
    "Problem",
    "VerifierMiddleware",
    "check",
    "verified",
]
