"""What every part that meets browsers has to agree on: addresses, origins, and cookies. No I/O."""

from common.edge.addresses import Network, client_address, limit_key, networks, within
from common.edge.cookies import (
    DEVICE_COOKIE,
    SESSION_COOKIE,
    SESSION_COOKIES,
    AmbiguousCookieError,
    read_cookies,
    session_cookie,
    session_cookie_name,
)
from common.edge.origins import SAFE_METHODS, origin_of, safe_return_to

__all__ = [
    "DEVICE_COOKIE",
    "SAFE_METHODS",
    "SESSION_COOKIE",
    "SESSION_COOKIES",
    "AmbiguousCookieError",
    "Network",
    "client_address",
    "limit_key",
    "networks",
    "origin_of",
    "read_cookies",
    "safe_return_to",
    "session_cookie",
    "session_cookie_name",
    "within",
]
