"""From the browser to a service and back."""

from gateway.proxy.entrance import Entrance
from gateway.proxy.exchange import Exchange, Exchanged
from gateway.proxy.forward import Gateway
from gateway.proxy.upstreams import Upstreams

__all__ = ["Entrance", "Exchange", "Exchanged", "Gateway", "Upstreams"]
