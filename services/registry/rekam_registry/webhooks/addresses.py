"""Which addresses a webhook may lead to. Pure.

Whoever may create a webhook makes this process send requests: never to what only it can reach, unless
the one who runs it says so, and never to what hands out a cloud's credentials.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What clouds serve their machines, with credentials; most of it is link-local, these are not.
_METADATA = frozenset(map(ipaddress.ip_address, ("168.63.129.16", "100.100.100.200", "fd00:ec2::254")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        # Pods of some clusters.
        "100.64.0.0/10",
        *("::1/128", "fc00::/7"),
    )
]


def fault(text: str, *, private: bool) -> str | None:
    """Why there must be no connection to an address; None: there may be.

    private: loopback and private networks will do.
    """
    try:
        address = _reached(ipaddress.ip_address(text))
    except ValueError:
        return f"{text!r} is no address"
    if address in _METADATA or address.is_link_local:
        return f"{text} is link-local, where clouds serve credentials"
    if private and any(address in network for network in _PRIVATE):
        return None
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    if not address.is_global or address.is_multicast or address.is_reserved or site_local:
        return f"{text} is not a public address"
    return None


def _reached(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        elif int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, of old
            inner = ipaddress.IPv4Address(int(address))
        elif address.teredo is not None:
            inner = address.teredo[1]
        return inner or address
    return address
