"""Whence a request comes: the socket says, unless a proxy that is configured says otherwise."""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING

from itda.errors import InputError
from itda.language import Message

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@functools.lru_cache(maxsize=16)
def parse_networks(told: str) -> tuple[Network, ...]:
    """Return the networks of a list with commas, such as `10.0.0.5, 192.168.0.0/24`.

    Raises:
        InputError: One is none.
    """
    found = []
    for part in filter(None, (one.strip() for one in told.split(","))):
        try:
            found.append(ipaddress.ip_network(part, strict=False))
        except ValueError:
            raise InputError(
                Message("trusted proxies: {part!r} is no address", part=part),
                hint=Message("write addresses or networks, such as 10.0.0.5, 192.168.0.0/24"),
            ) from None
    return tuple(found)


def client_address(request: HTTPConnection) -> str | None:
    """Return the address of who asks; None where the server listens at a socket's file.

    `X-Forwarded-For` counts only where the socket's other end is a trusted proxy, and then its last
    address that is none of them: what stands before it, anyone can write.
    """
    if request.client is None:
        return None
    trusted = parse_networks(request.app.state.services.settings.trusted_proxies)
    address = request.client.host
    if not trusted or not _is_in(address, trusted):
        return address[:64]
    told = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for one in reversed([part.strip() for part in told]):
        try:
            ipaddress.ip_address(one)
        except ValueError:
            break
        address = one
        if not _is_in(one, trusted):
            break
    return address[:64]


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
