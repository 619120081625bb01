"""New connections: the name, its addresses, TCP and TLS, each within a limit of its own.

A network that swallows packets is noticed within the TCP limit (1 s) even where a TLS handshake may take
longer (2 s). Nothing of a request is written here, so every failure proves that nothing executed.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

import aiohappyeyeballs

from adapters.providers.wire import outcomes
from adapters.providers.wire.addresses import IpAddress, Kind, kind_of, parse_address
from adapters.providers.wire.connection import Connection
from adapters.providers.wire.origins import Origin
from adapters.providers.wire.resolver import AddressRefused, GuardedResolver
from adapters.providers.wire.threads import in_thread
from core.engine.patience import Patience
from core.failover.outcome import Outcome

_NEXT_ADDRESS_SECONDS = 0.25
"""How long an address is tried alone before the next one is tried beside it (RFC 8305, section 5)."""


class Unreached(Exception):
    """There is no connection; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.signal)
        self.outcome = outcome


def guarded_socket(info: aiohappyeyeballs.AddrInfoType) -> socket.socket:
    """A socket for `info`, unless its address is one that is never called. Raises `AddressRefused`."""
    family, kind, protocol, _, sockaddr = info
    address = parse_address(str(sockaddr[0]))
    if address is None or kind_of(address) is Kind.FORBIDDEN:
        raise AddressRefused("the address is one that is never called (metadata, link-local, multicast)")
    return socket.socket(family=family, type=kind, proto=protocol)


class Dialler:
    """Makes connections. `tls` overrides the system's certificate authorities."""

    def __init__(
        self,
        resolver: GuardedResolver,
        connect_seconds: float,
        tls_seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._resolver = resolver
        self._connect_seconds = connect_seconds
        self._tls_seconds = tls_seconds
        self._tls = tls

    async def dial(self, origin: Origin, protocol: Callable[[int], Connection]) -> Connection:
        """A connection to `origin`, by the `protocol` that is made for its socket's number.

        Where one address takes the connection and then fails, the others are tried. Raises `Unreached`.
        """
        left = await self._addresses(origin)
        while True:
            sock = await self._tcp(origin, left)
            peer = None
            try:
                peer = parse_address(str(sock.getpeername()[0]))
                return await self._session(origin, sock, protocol)
            except (OSError, ssl.SSLError, ssl.CertificateError) as problem:
                sock.close()
                left = [address for address in left if address != peer and peer is not None]
                if not left:
                    raise Unreached(_failed(origin, problem)) from problem
            except BaseException:
                sock.close()  # the loop has not taken it where it was not to be
                raise

    async def _addresses(self, origin: Origin) -> list[IpAddress]:
        try:
            return list(await self._resolver.resolve(origin.host, origin.port))
        except AddressRefused as problem:
            raise Unreached(_failed(origin, problem)) from problem
        except OSError as problem:
            words = outcomes.os_words(problem)
            raise Unreached(
                outcomes.unreached("dns-failure", f"{origin.host} has no address: {words}")
            ) from problem

    async def _tcp(self, origin: Origin, addresses: list[IpAddress]) -> socket.socket:
        infos = [_info(address, origin.port) for address in addresses]
        try:
            async with Patience(self._connect_seconds):
                return await aiohappyeyeballs.start_connection(
                    infos, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, socket_factory=guarded_socket
                )
        except TimeoutError as problem:
            if problem.errno is not None:  # the kernel's ETIMEDOUT, not our limit
                raise Unreached(_failed(origin, problem)) from problem
            raise Unreached(
                outcomes.unreached("connect-timeout", f"no TCP connection in {self._connect_seconds:g} s")
            ) from problem
        except (OSError, RuntimeError) as problem:  # uvloop raises either
            raise Unreached(_failed(origin, problem)) from problem

    async def _session(
        self, origin: Origin, sock: socket.socket, protocol: Callable[[int], Connection]
    ) -> Connection:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop, made = asyncio.get_running_loop(), protocol(sock.fileno())
        if origin.scheme == "http":
            await loop.create_connection(lambda: made, sock=sock)
            return made
        if self._tls is None:
            self._tls = await in_thread(_system_tls, name="tls")
        try:
            async with Patience(self._tls_seconds):
                await loop.create_connection(
                    lambda: made, sock=sock, ssl=self._tls, server_hostname=origin.host
                )
                return made
        except TimeoutError as problem:
            if problem.errno is not None:
                raise
            raise Unreached(
                outcomes.unreached("tls-timeout", f"no TLS session in {self._tls_seconds:g} s")
            ) from problem


def _info(address: IpAddress, port: int) -> aiohappyeyeballs.AddrInfoType:
    if address.version == 4:  # noqa: PLR2004  IP version
        return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port))
    return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port, 0, 0))


def _system_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _failed(origin: Origin, problem: Exception) -> Outcome:
    match problem:
        case ssl.CertificateError() | ssl.SSLError():
            return outcomes.unreached("tls-failure", f"no TLS session: {outcomes.os_words(problem)}")
        case AddressRefused():
            return outcomes.unreached("address-refused", str(problem))
        case ConnectionRefusedError():
            return outcomes.unreached(
                "connect-refused", f"{origin.host}:{origin.port} refused the connection"
            )
        case _:
            words = outcomes.os_words(problem)
            return outcomes.unreached("connect-failed", f"no connection to {origin.host}: {words}")
