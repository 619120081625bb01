"""Which IP addresses a call may be sent to.

Three kinds: *forbidden* (never: metadata services, link-local, multicast, unspecified, reserved), *local*
(loopback, private and shared ranges: only where the settings say so) and *public*. An IPv6 address that
carries an IPv4 one inside (mapped, translated, 6to4, Teredo, NAT64) is as bad as the worse of the two.
"""

from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IpAddress = IPv4Address | IPv6Address


class Kind(IntEnum):
    """What an address is to us; the higher, the worse."""

    PUBLIC = 0
    LOCAL = 1
    FORBIDDEN = 2


METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS EKS pod identity over IPv6
        "fd20:ce::254",  # Google Cloud over IPv6
        "168.63.129.16",  # Azure's host agent
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud, classic
    )
)
"""Addresses of instance metadata and credentials services. Those outside link-local ranges are the reason
for the list."""

THIS_NETWORK = IPv4Network("0.0.0.0/8")
TRANSLATED = (
    IPv6Network("64:ff9b::/96"),  # NAT64
    IPv6Network("64:ff9b:1::/48"),  # NAT64 of one's own
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated (RFC 2765)
)
"""A translator on the way turns these into the IPv4 address inside."""


def kind_of(address: IpAddress) -> Kind:
    """What `address` is to us."""
    return max(_own_kind(address), *(_own_kind(inner) for inner in _carried(address)), Kind.PUBLIC)


def _own_kind(address: IpAddress) -> Kind:
    if (
        address in METADATA
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (isinstance(address, IPv4Address) and (address.is_reserved or address in THIS_NETWORK))
        or (isinstance(address, IPv6Address) and address.is_site_local)
    ):
        return Kind.FORBIDDEN
    return Kind.PUBLIC if address.is_global else Kind.LOCAL


def _carried(address: IpAddress) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 one carries inside."""
    if isinstance(address, IPv4Address):
        return ()
    found: list[IPv4Address] = []
    if address.ipv4_mapped is not None:
        found.append(address.ipv4_mapped)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    if any(address in network for network in TRANSLATED) or (
        int(address) >> 32 == 0 and not address.is_loopback
    ):
        # The last 32 bits: translated ones, and the deprecated "IPv4-compatible" form.
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(found)


def parse_address(text: str) -> IpAddress | None:
    """The address that `text` is the usual spelling of, or None. A zone (`%eth0`) is cut off."""
    try:
        return ip_address(text.split("%", 1)[0])
    except ValueError:
        return None
