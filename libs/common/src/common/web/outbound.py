"""Calls to addresses that others wrote down: never into our own network (SSRF).

What counts is the address to which the socket is about to connect. A URL is judged as the client itself reads it:
`https://①②⑦.0.0.1/` is a name to one parser and 127.0.0.1 to another. A name that is resolved twice can lead to two
places, and an address in a URL is not resolved at all.
"""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "::/96",  # IPv4-compatible (RFC 4291, section 2.5.5.1)
        "64:ff9b::/96",  # NAT64 (RFC 6052): leads to whatever IPv4 address is embedded
        "64:ff9b:1::/48",  # NAT64 for local use (RFC 8215)
        "2002::/16",  # 6to4 (RFC 3056)
        "fec0::/10",  # site-local (RFC 3879)
    )
)


class BlockedAddressError(OSError):
    """A URL leads to an address that is not public, and that the settings do not allow."""


def is_public(address: str) -> bool:
    """Return whether an address is one of the internet's own hosts. An IPv6 address that stands for an IPv4 one is not.

    Raises:
        ValueError: it is no address.

    """
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_multicast or any(parsed in network for network in _NOT_PUBLIC):
        return False
    return parsed.is_global


def blocked(url: URL, allowed: frozenset[str]) -> str | None:
    """Return why a URL is not called, as far as it says so itself, or None.

    Args:
        url: as the client reads it.
        allowed: `host:port` of those that may be private, and without TLS.

    Returns:
        `insecure_url`, `blocked_address`, or None: then the address to which the name leads decides.

    """
    if not url.host or url.port is None:
        return "insecure_url"
    exempt = f"{url.host}:{url.port}" in allowed
    if url.scheme not in {"https", "http"} or (url.scheme == "http" and not exempt):
        return "insecure_url"
    try:
        return None if exempt or is_public(url.host) else "blocked_address"
    except ValueError:
        return None  # a name: what it leads to is looked at before the connection


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those that lead to a private address.

    Args:
        allowed: `host:port` of those that may.

    Attributes:
        exempt: addresses and ports to which an allowed name led.

    """

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._inner = ThreadedResolver()
        self.exempt: set[tuple[str, int]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if f"{host}:{port}" in self._allowed:
            self.exempt.update((entry["host"], entry["port"]) for entry in found)
        elif not all(is_public(entry["host"]) for entry in found):
            raise BlockedAddressError(f"{host}: leads to an address that is not public")
        return found

    async def close(self) -> None:
        await self._inner.close()


def guarded_connector(allowed: frozenset[str], **arguments: Any) -> aiohttp.TCPConnector:
    """Return a connector that connects to public addresses and to those that are allowed, by whatever name.

    Args:
        allowed: `host:port` of those that may be private.
        arguments: of `aiohttp.TCPConnector`.

    """
    resolver = GuardedResolver(allowed)
    return aiohttp.TCPConnector(resolver=resolver, socket_factory=_sockets(allowed, resolver), **arguments)


def _sockets(allowed: frozenset[str], resolver: GuardedResolver) -> Callable[[Any], socket.socket]:
    def make(found: Any) -> socket.socket:
        family, kind, protocol, _, peer = found
        host, port = str(peer[0]), int(peer[1])
        exempt = f"{host}:{port}" in allowed or (host, port) in resolver.exempt
        if not exempt and not is_public(host):
            raise BlockedAddressError(f"{host}: an address that is not public")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make
