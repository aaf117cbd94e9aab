"""The public origin: cookie in, JWT out; what a browser may reach, and how. Knows no database and no key."""

from session_svc.gateway.exchange import Exchange
from session_svc.gateway.live import LiveHub
from session_svc.gateway.proxy import Gateway
from session_svc.gateway.upstreams import Upstreams

__all__ = ["Exchange", "Gateway", "LiveHub", "Upstreams"]
