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


def client_address(peer: str | None, forwarded_for: Sequence[str], hops: int) -> str:
    """Return whose request it is: the peer's address, or what the outermost of `hops` trusted proxies saw.

    Each proxy adds the address that it saw at the right end of `X-Forwarded-For`, so with one proxy it is the last
    entry, with two the last but one. Whatever a stranger wrote stands to the left of these. Where there are fewer
    entries, or the one that counts is no address, the request did not come through all of them: the peer counts.

    Args:
        peer: the other end of the connection.
        forwarded_for: the values of `X-Forwarded-For`, in order.
        hops: how many proxies in front of this process are ours.

    Returns:
        An address, or `unknown`.

    """
    entries = [entry for line in forwarded_for for entry in line.split(",")]
    claimed = _parse(entries[-hops]) if 0 < hops <= len(entries) else None
    return str(claimed or _parse(peer) or "unknown")


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
