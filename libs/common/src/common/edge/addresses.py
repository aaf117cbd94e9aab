"""Whose request it is: addresses of peers, of proxies and of the clients before them."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def networks(values: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and CIDR ranges, parsed.

    Raises:
        ValueError: naming the one that is neither.

    """
    return tuple(ip_network(value.strip(), strict=False) for value in values if value.strip())


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return whose request it is: the peer, or, where the peer is a trusted proxy, the last address that is not one.

    Reading from the right is what makes it safe: whatever a stranger wrote stands to the left of the first
    address that a trusted proxy added.
    """
    current = _parse(peer)
    if current is None:
        return "unknown"
    hops = [hop.strip() for line in forwarded_for for hop in line.split(",")]
    while hops and any(current in network for network in trusted):
        claimed = _parse(hops.pop())
        if claimed is None:
            break
        current = claimed
    return str(current)


def within(address: str, allowed: Sequence[Network]) -> bool:
    """Return whether an address lies in one of the networks."""
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in allowed)


def limit_key(address: str) -> str:
    """Return the part of an address that one household or server has: all of IPv4, the first 64 bits of IPv6."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)


def _parse(text: str | None) -> IPv4Address | IPv6Address | None:
    if not text:
        return None
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        parsed = ip_address(host)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
