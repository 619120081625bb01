"""A name server for the clouds' names, over UDP, whose answers are good for no time at all (TTL 0).

`aws.localcloud.test`, `gcp...` and `azure.localcloud.test`, and whatever lies below them, are where
localcloud listens. It knows no other name and says so (REFUSED). While a `dns-nxdomain` rule is in
force a provider's name does not exist; under `dns-timeout` nothing is answered.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Mapping

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from localcloud.outages import Outages
from localcloud.vendor import ProviderName

ZONE = "localcloud.test"

log = logging.getLogger("sidestep.localcloud.names")

_TTL = 0
_MAX_QUERY = 1_232  # bytes; what resolvers send is far smaller
_AUTHORITY = f"{ZONE}. hostmaster.{ZONE}. 1 60 60 60 {_TTL}"


def name_of(provider: ProviderName) -> str:
    """The host name of a provider."""
    return f"{provider.lower()}.{ZONE}"


class Names(asyncio.DatagramProtocol):
    """Answers lookups; `outages` are asked at each. `host` is the address that localcloud listens on."""

    def __init__(self, host: str, outages: Mapping[ProviderName, Outages]) -> None:
        address = ipaddress.ip_address(host) if _is_address(host) else None
        if address is None or address.is_unspecified:
            address = ipaddress.ip_address("127.0.0.1")
        self._address = address.compressed
        self._type = dns.rdatatype.A if address.version == 4 else dns.rdatatype.AAAA  # noqa: PLR2004 - IP
        self._outages = {dns.name.from_text(name_of(provider)): own for provider, own in outages.items()}
        self._zone = dns.name.from_text(ZONE)
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, bound: socket.socket) -> None:
        """Listen on a bound UDP socket."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=bound)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[str | None, int]) -> None:
        """Answer one packet, or keep silent."""
        answer = self._answer(data)
        if answer is not None and self._transport is not None:
            with contextlib.suppress(OSError):  # whoever asked has gone
                self._transport.sendto(answer, addr)

    def error_received(self, exc: Exception) -> None:
        """An answer came back undelivered: whoever asked has gone."""
        log.debug("an answer was not delivered: %s", exc)

    def _answer(self, data: bytes) -> bytes | None:
        if len(data) > _MAX_QUERY:
            return None
        try:
            query = dns.message.from_wire(data)
            if query.flags & dns.flags.QR:
                return None  # an answer must not be answered
            response = self._response(query)
            return None if response is None else response.to_wire()
        except (dns.exception.DNSException, ValueError) as error:
            log.debug("a packet is no lookup: %s", error)
            return None

    def _response(self, query: dns.message.Message) -> dns.message.Message | None:
        response = dns.message.make_response(query)
        if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
            response.set_rcode(dns.rcode.NOTIMP)
            return response
        asked = query.question[0]
        found = next((own for name, own in self._outages.items() if asked.name.is_subdomain(name)), None)
        if found is None or asked.rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        ailing = found.look_up()
        if ailing == "dns-timeout":
            return None
        response.flags |= dns.flags.AA
        if ailing is None and asked.rdtype == self._type:
            response.answer.append(dns.rrset.from_text(asked.name, _TTL, "IN", self._type, self._address))
            return response
        if ailing is not None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(self._zone, _TTL, "IN", "SOA", _AUTHORITY))
        return response


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
