"""A name server on loopback that answers as a test says, and counts what it was asked."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

SILENCE = -1
"""For `rcode`: say nothing at all."""


class DnsServer:
    """Answers over UDP and TCP on one port. Change the fields while it runs.

    `zone` maps a name to its addresses; a name that is not in it does not exist. `rcode`, unless 0, is what
    every question is answered with. `mute` are the record types ("AAAA") that are never answered.
    """

    def __init__(self, zone: Mapping[str, Sequence[str]] | None = None, *, ttl: int = 60) -> None:
        self.zone: dict[str, Sequence[str]] = dict(zone or {})
        self.ttl = ttl
        self.rcode = 0
        self.mute: frozenset[str] = frozenset()
        self.truncate = False
        self.garbage = False
        self.asked: Counter[tuple[str, str]] = Counter()
        self.over_tcp = 0
        self.port = 0

    @property
    def address(self) -> str:
        """As the setting `nameservers` takes it."""
        return f"127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["DnsServer"]:
        """Listen on a free loopback port while the context lasts."""
        loop = asyncio.get_running_loop()
        streams = await asyncio.start_server(self._stream, "127.0.0.1", 0)
        self.port = streams.sockets[0].getsockname()[1]
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=("127.0.0.1", self.port)
        )
        try:
            yield self
        finally:
            transport.close()
            streams.close()
            await streams.wait_closed()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            size = int.from_bytes(await reader.readexactly(2), "big")
            reply = self.reply(await reader.readexactly(size), tcp=True)
            if reply is not None:
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        writer.close()

    def reply(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The answer to one question; None is silence."""
        question = dns.message.from_wire(wire)
        name = question.question[0].name
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        host = name.to_text(omit_final_dot=True)
        self.asked[host, kind] += 1
        self.over_tcp += tcp
        if self.rcode == SILENCE or kind in self.mute:
            return None
        answer = dns.message.make_response(question)
        if self.garbage:
            return answer.to_wire()[:7] + b"\xff" * 40
        if self.rcode:
            answer.set_rcode(dns.rcode.Rcode(self.rcode))
        elif self.truncate and not tcp:
            answer.flags |= dns.flags.TC
        elif host not in self.zone:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            fitting = [text for text in self.zone[host] if (":" in text) == (kind == "AAAA")]
            if fitting:
                answer.answer.append(dns.rrset.from_text(name, self.ttl, "IN", kind, *fitting))
        return answer.to_wire()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # by duck: it is no subclass

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        reply = self._server.reply(data, tcp=False)
        if reply is not None and self._transport is not None:
            self._transport.sendto(reply, address)
