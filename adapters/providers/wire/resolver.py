"""Name resolution that refuses forbidden addresses.

The addresses that are checked here are the ones that are connected to (aiohttp connects to what its resolver
returned, and does not resolve again), so a name that changes its mind between a check and a connection
(DNS rebinding) gains nothing. aiohttp skips its resolver for IP literals; `origins.parse_url` checks those,
and `connector.GuardedConnector` checks every socket's address once more.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.providers.wire.addresses import parse_address
from adapters.providers.wire.nameservers import NameServers
from adapters.providers.wire.origins import AddressRules, is_loopback_host
from adapters.providers.wire.threads import in_thread

Lookup = Callable[[str, int, int], Sequence[str]]
"""(host, port, address family) -> addresses as text. Blocking; raises OSError. Runs in a thread."""


class AddressRefused(OSError):
    """A name resolved to an address that must not be called; the message is a sentence."""


def system_lookup(host: str, port: int, family: int) -> Sequence[str]:
    """The addresses that the operating system knows for `host`."""
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedResolver(AbstractResolver):
    """Resolves with `lookup` or `names`, and refuses the whole answer where one address of it is refused."""

    def __init__(
        self,
        rules: AddressRules,
        seconds: float,
        lookup: Lookup = system_lookup,
        names: NameServers | None = None,
    ) -> None:
        """`names`, where given, are asked instead of `lookup` (but for localhost, which no server knows)."""
        self._rules = rules
        self._seconds = seconds
        self._lookup = lookup
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The checked addresses of `host`. Raises `AddressRefused`, or OSError if there are none in time."""
        try:
            async with asyncio.timeout(self._seconds):
                texts = await self._texts(host, port, family)
        except TimeoutError as late:
            raise OSError(f"no answer about {host} in {self._seconds:g} s") from late
        results: list[ResolveResult] = []
        for text in texts:
            address = parse_address(text)
            if address is None:
                raise AddressRefused(f"{host} resolves to something that is not an IP address")
            problem = self._rules.problem(host, address)
            if problem is not None:
                raise AddressRefused(problem)
            results.append(
                ResolveResult(
                    hostname=host,
                    host=str(address),
                    port=port,
                    family=socket.AF_INET if address.version == 4 else socket.AF_INET6,  # noqa: PLR2004  IP version
                    proto=0,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        if not results:
            raise OSError(f"{host} has no addresses")
        return results

    async def _texts(self, host: str, port: int, family: int) -> Sequence[str]:
        if self._names is not None and not is_loopback_host(host):
            return await self._names.addresses(host, v4_only=family == socket.AF_INET)
        return await in_thread(lambda: self._lookup(host, port, family), name="dns")

    async def close(self) -> None:
        """Nothing to release: threads end by themselves."""
