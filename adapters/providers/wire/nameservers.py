"""Names asked of name servers of one's own choice, instead of the system's (split-horizon DNS).

The addresses found go through the same rules as the system's: `resolver.GuardedResolver` checks them.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from adapters.providers.wire.threads import in_thread
from adapters.providers.wire.vendor import load

LONGEST_KEPT_SECONDS = 5.0
"""An answer is kept for its TTL, and no longer than this: a name that moves away from a broken place is
followed soon, however long its records wish to live."""

MAX_SERVERS = 8
_DNS_PORT, _MAX_PORT = 53, 65_535
_MANY_NAMES = 10_000
_OTHER_FAMILY_SECONDS = 0.05
"""How much longer the other address family is waited for once one has answered (RFC 8305, section 3)."""


@dataclass(frozen=True, slots=True)
class NameServer:
    """Where a name server listens."""

    address: str
    port: int = _DNS_PORT


def parse_server(text: str) -> NameServer:
    """Read `IP`, `IP:port` or `[IPv6]:port`. Raises ValueError with a sentence."""
    sentence = f"a name server is an IP address, or one with a port like 10.0.0.2:53, which {text!r} is not"
    with contextlib.suppress(ValueError):
        return NameServer(str(ip_address(text)))
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(sentence) from None
    digits = port.isascii() and port.isdigit() and len(port) <= len(str(_MAX_PORT))
    if not digits or not 0 < int(port) <= _MAX_PORT or bracketed != (address.version == 6):  # noqa: PLR2004  IP version
        raise ValueError(sentence)
    return NameServer(str(address), int(port))


@dataclass(frozen=True, slots=True)
class _Kept:
    addresses: tuple[str, ...]
    until: float


@dataclass(frozen=True, slots=True)
class _Flight:
    task: "asyncio.Task[tuple[str, ...]]"
    began: float


class NameServers:
    """Asks `servers` in turn, as far as `seconds` allow; open it inside the event loop that uses it.

    Names are complete as they are: no search list is tried. However many ask for a name at once, it is asked
    for once (until half of the limit is over). Failures are not kept.
    """

    def __init__(
        self, servers: Sequence[NameServer], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._servers = tuple(servers)
        self._seconds = seconds
        self._clock = clock
        self._resolver: Any = None
        self._kept: dict[tuple[str, bool], _Kept] = {}
        self._flights: dict[tuple[str, bool], _Flight] = {}
        self._tasks: set[asyncio.Task[tuple[str, ...]]] = set()

    async def open(self) -> None:
        """Load the library, and make the resolver."""
        self._resolver = await in_thread(self._make, name="dns")

    def _make(self) -> Any:
        resolver = load("dns.asyncresolver").Resolver(configure=False)
        kind = load("dns.nameserver").Do53Nameserver
        resolver.nameservers = [kind(server.address, server.port) for server in self._servers]
        resolver.lifetime = self._seconds
        # Every server has its turn within the limit, and the first of them, or the only one, a second.
        resolver.timeout = self._seconds / (len(self._servers) + 1)
        return resolver

    async def close(self) -> None:
        """End what is still asked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def addresses(self, host: str, *, v4_only: bool = False) -> tuple[str, ...]:
        """The addresses of `host`, at least one. Raises OSError with a sentence where there are none."""
        key = (host, v4_only)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until:
            return kept.addresses
        flight = self._flights.get(key)
        if flight is None or self._clock() - flight.began > self._seconds / 2:
            # A question that has been open for long has little chance left, and does not tell of now.
            task = asyncio.get_running_loop().create_task(self._find(key), name=f"dns {host}")
            flight = self._flights[key] = _Flight(task, self._clock())
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._landed(key, done))
        # Shielded: who stops waiting must not stop the others' question.
        return await asyncio.shield(flight.task)

    def _landed(self, key: tuple[str, bool], task: "asyncio.Task[tuple[str, ...]]") -> None:
        self._tasks.discard(task)
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]
        if not task.cancelled():
            task.exception()  # whoever waited has it; where nobody waits any more, it is nobody's

    async def _find(self, key: tuple[str, bool]) -> tuple[str, ...]:
        host, v4_only = key
        if self._resolver is None:
            raise OSError("the name servers are not open")
        began = self._clock()
        questions = [
            asyncio.ensure_future(self._ask(host, kind)) for kind in (("A",) if v4_only else ("A", "AAAA"))
        ]
        try:
            async with asyncio.timeout(self._seconds):
                await self._enough(questions)
        except TimeoutError:
            pass  # the library's own limit is not exact
        finally:
            for question in questions:
                question.cancel()
            answers = await asyncio.gather(*questions, return_exceptions=True)
        good = [answer for answer in answers if isinstance(answer, _Kept)]
        found = tuple(dict.fromkeys(address for answer in good for address in answer.addresses))
        if not found:
            why = next(
                (str(answer) for answer in answers if isinstance(answer, OSError)),
                "the name servers did not answer in time",
            )
            raise OSError(why)
        if len(self._kept) >= _MANY_NAMES:
            self._kept.clear()
        ttl = min(LONGEST_KEPT_SECONDS, *(answer.until for answer in good if answer.addresses))
        self._kept[key] = _Kept(found, began + ttl)
        return found

    async def _enough(self, questions: "Sequence[asyncio.Future[_Kept]]") -> None:
        """Wait for all of them; not long for the others once one has found addresses."""
        waiting = set(questions)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(question.exception() is None and question.result().addresses for question in done):
                if waiting:
                    await asyncio.wait(waiting, timeout=_OTHER_FAMILY_SECONDS)
                return

    async def _ask(self, host: str, kind: str) -> _Kept:
        """The records of one kind, with their TTL in `until`. Raises OSError."""
        try:
            answer = await self._resolver.resolve(f"{host}.", kind, raise_on_no_answer=False, search=False)
            records = answer.rrset or ()
            return _Kept(
                tuple(record.address for record in records), float(answer.chaining_result.minimum_ttl)
            )
        except Exception as problem:  # the library's errors, and what hostile answers make it raise
            raise OSError(_words(problem)) from problem


def _words(problem: Exception) -> str:
    """What the library's error means, without the servers' addresses."""
    match type(problem).__name__:
        case "NXDOMAIN":
            return "the name does not exist (NXDOMAIN)"
        case "LifetimeTimeout":
            return "the name servers did not answer in time"
        case "NoNameservers":
            return "no name server gave a usable answer"
        case name:
            return f"the name servers could not be asked ({name})"
