"""The connection pool: every socket's address is checked, and TCP and TLS have time limits of their own."""

import asyncio
import socket
import ssl
from typing import Any

import aiohappyeyeballs
from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    TCPConnector,
)
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest

from adapters.providers.wire.addresses import Kind, kind_of, parse_address
from adapters.providers.wire.resolver import AddressRefused


class TcpTimeout(ClientConnectionError):
    """No TCP connection to any of the host's addresses within the limit."""


class TlsTimeout(ClientConnectionError):
    """No TLS session within the limit."""


def guarded_socket(info: aiohappyeyeballs.AddrInfoType) -> socket.socket:
    """A socket for `info`, unless its address is one that is never called. Raises `AddressRefused`."""
    family, kind, protocol, _, sockaddr = info
    address = parse_address(str(sockaddr[0]))
    if address is None or kind_of(address) is Kind.FORBIDDEN:
        raise AddressRefused("the address is one that is never called (metadata, link-local, multicast)")
    return socket.socket(family=family, type=kind, proto=protocol)


class GuardedConnector(TCPConnector):
    """aiohttp's pool with guarded sockets and separate limits for TCP and TLS.

    aiohttp bounds TCP and TLS together (`sock_connect`). A network that swallows packets must be noticed
    within the TCP limit (1 s) even where a TLS handshake may take longer (2 s), so the one hook that makes a
    connection is overridden. It is not part of aiohttp's public interface: the version is locked, and the
    contract suite's silent-network and silent-TLS cases fail if a later one no longer calls it.
    """

    def __init__(self, *, connect_seconds: float, tls_seconds: float, **options: Any) -> None:
        super().__init__(socket_factory=guarded_socket, **options)
        self._connect_seconds = connect_seconds
        self._tls_seconds = tls_seconds

    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: list[aiohappyeyeballs.AddrInfoType],
        req: ClientRequest,
        timeout: object,  # noqa: ARG002  aiohttp's own limits; ours are finer
        client_error: type[Exception] = ClientConnectorError,
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        try:
            try:
                async with asyncio.timeout(self._connect_seconds):
                    sock = await aiohappyeyeballs.start_connection(
                        addr_infos=addr_infos,
                        local_addr_infos=None,
                        happy_eyeballs_delay=self._happy_eyeballs_delay,
                        interleave=self._interleave,
                        loop=self._loop,
                        socket_factory=self._socket_factory,
                    )
            except TimeoutError as problem:
                if problem.errno is not None:
                    raise  # the kernel's ETIMEDOUT, not our limit
                # Not a ClientConnectorError: aiohttp would go on to the next address, one limit each.
                raise TcpTimeout(f"no TCP connection in {self._connect_seconds:g} s") from problem
            try:
                async with asyncio.timeout(self._tls_seconds):
                    return await self._loop.create_connection(*args, **kwargs, sock=sock)
            except TimeoutError as problem:
                raise TlsTimeout(f"no TLS session in {self._tls_seconds:g} s") from problem
        except ssl.CertificateError as problem:
            raise ClientConnectorCertificateError(req.connection_key, problem) from problem
        except ssl.SSLError as problem:
            raise ClientConnectorSSLError(req.connection_key, problem) from problem
        except OSError as problem:
            raise client_error(req.connection_key, problem) from problem
