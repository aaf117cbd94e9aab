"""What every part that meets browsers has to agree on: addresses, origins, and the session cookie. No I/O."""

from common.edge.addresses import Network, client_address, limit_key, networks, within
from common.edge.cookies import SESSION_COOKIE
from common.edge.origins import SAFE_METHODS, origin_of, safe_return_to

__all__ = [
    "SAFE_METHODS",
    "SESSION_COOKIE",
    "Network",
    "client_address",
    "limit_key",
    "networks",
    "origin_of",
    "safe_return_to",
    "within",
]
