"""Which proxies are believed when they tell who calls."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from libacli.config import Settings
from libacli.errors import ConfigError

_LOOPBACK = ("127.0.0.0/8", "::1")
_MAPPED_BITS = 96
_MAPPED = 0xFFFF << 32
"""Addresses of IPv4 as a socket of IPv6 shows them (RFC 4291, section 2.5.5.2)."""

_Network = IPv4Network | IPv6Network


class TrustedProxies:
    """Addresses of proxies. What one of them appends to `X-Forwarded-For` counts: from the right, the first
    address that is none of theirs is the client's."""

    def __init__(self, networks: Iterable[_Network] = ()) -> None:
        given = tuple(networks)
        self._networks = (*given, *(_mapped(one) for one in given if isinstance(one, IPv4Network)))

    def __contains__(self, host: object) -> bool:
        try:
            address = ip_address(str(host))
        except ValueError:  # a socket that has no address
            return False
        return any(address in network for network in self._networks)

    def as_words(self) -> list[str]:
        """As a server is told them; empty: none is believed."""
        return [str(network) for network in self._networks]


def trusted_proxies(settings: Settings) -> TrustedProxies:
    """Those of `serve.trusted_proxies`; this machine's, where an own address is set and they are not.

    Raises ConfigError for what is no address and no network, and for all addresses there are.
    """
    entries = settings.serve_trusted_proxies or (_LOOPBACK if settings.serve_public_url else ())
    return TrustedProxies(_network(entry) for entry in entries)


def _network(entry: str) -> _Network:
    hint = "list the addresses of your proxies: 10.0.3.7, 10.0.0.0/16, fd00::/8"
    try:
        network = ip_network(entry, strict=False)
    except ValueError as error:
        raise ConfigError(
            f"serve.trusted_proxies: {entry!r} is neither an address nor a network", hint=hint
        ) from error
    if network.prefixlen == 0:
        raise ConfigError(
            f"serve.trusted_proxies: with {entry} every caller could choose his address", hint=hint
        )
    return network


def _mapped(network: IPv4Network) -> IPv6Network:
    return IPv6Network((_MAPPED | int(network.network_address), _MAPPED_BITS + network.prefixlen))
