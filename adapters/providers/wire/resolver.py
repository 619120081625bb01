"""Name resolution that refuses forbidden addresses.

The addresses that are checked here are the ones that are connected to, so a name that changes its mind
between a check and a connection (DNS rebinding) gains nothing. `dialling` checks every socket's address once
more.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.providers.wire.addresses import IpAddress, parse_address
from adapters.providers.wire.nameservers import NameServers
from adapters.providers.wire.origins import AddressRules, is_loopback_host
from adapters.providers.wire.threads import in_thread
from core.engine.patience import Patience

KEPT_SECONDS = 10.0
"""How long the system's answers are used. Those of name servers of one's own are kept by `NameServers`."""

_MANY_NAMES = 10_000

Lookup = Callable[[str, int, int], Sequence[str]]
"""(host, port, address family) -> addresses as text. Blocking; raises OSError. Runs in a thread."""


class AddressRefused(OSError):
    """A name resolved to an address that must not be called; the message is a sentence."""


def system_lookup(host: str, port: int, family: int) -> Sequence[str]:
    """The addresses that the operating system knows for `host`."""
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(slots=True)
class _Kept:
    addresses: tuple[IpAddress, ...]
    until: float
    turn: int = 0


class GuardedResolver:
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
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._flights: dict[tuple[str, int], asyncio.Task[tuple[IpAddress, ...]]] = {}

    async def resolve(self, host: str, port: int) -> tuple[IpAddress, ...]:
        """The checked addresses of `host`, at least one; each in its turn is the first of them.

        Raises `AddressRefused`, or OSError if there are none in time.
        """
        literal = parse_address(host)
        if literal is not None:
            return self._checked(host, (str(literal),))
        if self._names is not None:
            return await self._ask(host, port)
        key, now = (host, port), asyncio.get_running_loop().time()
        kept = self._kept.get(key)
        if kept is None or kept.until <= now:
            # Shielded: who stops waiting must not stop the others' question.
            addresses = await asyncio.shield(self._flight(key))
            if len(self._kept) >= _MANY_NAMES:
                self._kept.clear()
            kept = self._kept.setdefault(key, _Kept(addresses, 0.0))
            if kept.until <= now:
                kept.addresses, kept.until = addresses, now + KEPT_SECONDS
        kept.turn = (kept.turn + 1) % len(kept.addresses)
        return kept.addresses[kept.turn :] + kept.addresses[: kept.turn]

    def _flight(self, key: tuple[str, int]) -> "asyncio.Task[tuple[IpAddress, ...]]":
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._ask(*key), name=f"dns {key[0]}")
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: tuple[str, int], flight: "asyncio.Task[tuple[IpAddress, ...]]") -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # whoever waited has it; where nobody waits any more, it is nobody's

    async def _ask(self, host: str, port: int) -> tuple[IpAddress, ...]:
        try:
            async with Patience(self._seconds):
                return self._checked(host, await self._texts(host, port))
        except TimeoutError as late:
            raise OSError(f"no answer about {host} in {self._seconds:g} s") from late

    def _checked(self, host: str, texts: Sequence[str]) -> tuple[IpAddress, ...]:
        addresses: list[IpAddress] = []
        for text in texts:
            address = parse_address(text)
            if address is None:
                raise AddressRefused(f"{host} resolves to something that is not an IP address")
            problem = self._rules.problem(host, address)
            if problem is not None:
                raise AddressRefused(problem)
            addresses.append(address)
        if not addresses:
            raise OSError(f"{host} has no addresses")
        return tuple(addresses)

    async def _texts(self, host: str, port: int) -> Sequence[str]:
        if self._names is not None and not is_loopback_host(host):
            return await self._names.addresses(host)
        return await in_thread(lambda: self._lookup(host, port, socket.AF_UNSPEC), name="dns")

    async def close(self) -> None:
        """End what is still asked; threads end by themselves."""
        flights = tuple(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
