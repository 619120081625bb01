"""CPU cost of one call: our HTTP client and others, our providers over it, and signatures.

    python -m benchmarks.provider_calls [calls]

Prints a table in Markdown. `client_cost` measures our client alone: what a bare loop of calls would cost.

The server is another process, so that only the client's CPU is counted. All variants take turns, so that a
busy machine is unfair to each alike; a line is the least and the median of its turns.
"""

import asyncio
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import aiohttp
import httpx
import uvloop
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from yarl import URL

from adapters.providers.aws.config import AwsConfig
from adapters.providers.aws.provider import AwsProvider
from adapters.providers.aws.signing import Keys, Signer
from adapters.providers.azure.config import AzureConfig
from adapters.providers.azure.provider import AzureProvider
from adapters.providers.gcp.config import GcpConfig
from adapters.providers.gcp.provider import GcpProvider
from adapters.providers.http.config import HttpConfig
from adapters.providers.http.provider import HttpProvider
from adapters.providers.wire.client import WireClient, WireConfig
from adapters.providers.wire.endpoint import Endpoint
from adapters.providers.wire.origins import AddressRules
from adapters.providers.wire.reply import Reply
from core.graph.model import Target
from core.ports.provider import Call, Provider

IN_FLIGHT = 64
TURNS = 15
PAYLOAD = {"order": {"id": "A-1", "lines": [{"sku": "x", "n": 2}] * 3}, "total": 12.5}
ANSWER = b'{"charged": true, "amount": 42}'
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "sidestep",
    "Idempotency-Key": "k" * 40,
    "Sidestep-Attempt": "1",
    "Sidestep-Not-After": "1763689200123",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


class Static(asyncio.Protocol):
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: Any = None
        self._answer = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            size = int(head.split(b"content-length:")[1].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + size:
                return
            self._buffer = self._buffer[end + 4 + size :]
            self._transport.write(self._answer + ANSWER)


async def serve() -> None:
    """Serve on a free port, which is printed, until killed."""
    server = await asyncio.get_running_loop().create_server(Static, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The base URL of a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.provider_calls", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


Once = Callable[[], Awaitable[Any]]


class Cost(NamedTuple):
    """CPU of one call in microseconds: the least and the median of all turns."""

    least: float
    median: float


async def measure(variants: dict[str, Once], calls: int) -> dict[str, Cost]:
    """The CPU time of one call of each variant, with 64 in flight."""

    async def worker(once: Once) -> None:
        for _ in range(each):
            await once()

    each = max(1, calls // IN_FLIGHT // TURNS)
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(TURNS + 1):
        for name, once in variants.items():
            before = time.process_time()
            await asyncio.gather(*(worker(once) for _ in range(IN_FLIGHT)))
            if turn:  # the first is to warm up
                taken[name].append((time.process_time() - before) / (each * IN_FLIGHT) * 1e6)
    return {name: Cost(min(times), statistics.median(times)) for name, times in taken.items()}


def show(costs: dict[str, Cost]) -> None:
    """Print lines of the table."""
    for name, cost in costs.items():
        print(f"| {name} | {cost.least:,.1f} us | {cost.median:,.1f} us |", flush=True)


def posting(client: WireClient, base: str) -> Once:
    """One POST with our client, its answer not looked at."""
    body = json.dumps(PAYLOAD).encode()
    endpoint = Endpoint.of(URL(f"{base}/f"), HEADERS)

    async def once() -> None:
        reply = await client.post(endpoint, {}, body, timeout_ms=30_000, fresh=False)
        assert isinstance(reply, Reply), reply

    return once


async def client_cost(calls: int = 20_000) -> Cost:
    """What one POST with our client costs in this process."""
    with serving() as base:
        client = WireClient(WireConfig(), AddressRules())
        await client.open()
        try:
            return (await measure({"ours": posting(client, base)}, calls))["ours"]
        finally:
            await client.close()


def clients(base: str, session: aiohttp.ClientSession, client: WireClient) -> dict[str, Once]:
    """Aiohttp as it is, and ours."""
    body = json.dumps(PAYLOAD).encode()
    timeout = aiohttp.ClientTimeout(total=30)

    async def bare() -> None:
        async with session.post(f"{base}/f", data=body) as response:
            await response.read()

    async def same_work() -> None:
        async with session.post(f"{base}/f", data=body, headers=HEADERS, timeout=timeout) as response:
            json.loads(await response.read())

    return {
        "aiohttp, bare": bare,
        "aiohttp, our headers, a timeout and JSON": same_work,
        "our client, the same headers and timeout": posting(client, base),
    }


async def plain_httpx(base: str, calls: int) -> dict[str, Cost]:
    """Httpx over its own transport."""
    body = json.dumps(PAYLOAD).encode()
    limits = httpx.Limits(max_connections=1024, max_keepalive_connections=1024)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as client:

        async def once() -> None:
            (await client.post(f"{base}/f", content=body, headers=HEADERS)).json()

        return await measure({"httpx, our headers and JSON": once}, calls)


def providers(base: str) -> list[tuple[Provider, Target]]:
    """Ours, not yet open."""
    return [
        (HttpProvider(HttpConfig(origins=(base,))), Target("HTTP", f"{base}/f")),
        (GcpProvider(GcpConfig(base_url=base, auth="none")), Target("GCP", "f")),
        (AzureProvider(AzureConfig(base_url=base, function_key="key")), Target("AZURE", "f")),
        (
            AwsProvider(
                AwsConfig(
                    region="eu-west-1",
                    endpoint_url=base,
                    access_key_id="AKID",
                    secret_access_key="key",  # noqa: S106  the server does not look
                )
            ),
            Target("AWS", "f"),
        ),
    ]


def invoking(provider: Provider, target: Target) -> Once:
    """One call of `provider`."""
    call = Call(
        target=target,
        payload=PAYLOAD,
        idempotency_key=HEADERS["Idempotency-Key"],
        attempt=1,
        timeout_ms=30_000,
        not_after_ms=1_763_689_200_123,
        traceparent=HEADERS["traceparent"],
    )

    async def once() -> None:
        outcome = await provider.invoke(call)
        assert outcome.ok, outcome

    return once


def signatures(count: int) -> dict[str, Cost]:
    """Our signer and botocore's."""
    body = json.dumps(PAYLOAD).encode()
    context = "e30=" * 40
    signer = Signer(Keys("AKID", "key"))
    credentials = Credentials("AKID", "key")
    url = "https://h/2015-03-31/functions/f/invocations"

    def ours() -> None:
        signer.headers(
            region="eu-west-1",
            host="h",
            path="/2015-03-31/functions/f/invocations",
            extra=(("x-amz-client-context", context),),
            body=body,
            now=time.time(),
        )

    def botocores() -> None:
        request = AWSRequest("POST", url, headers={"X-Amz-Client-Context": context}, data=body)
        SigV4Auth(credentials, "lambda", "eu-west-1").add_auth(request)

    costs: dict[str, Cost] = {}
    for name, sign in (("signature, ours", ours), ("signature, botocore", botocores)):
        times: list[float] = []
        for _ in range(TURNS):
            started = time.process_time()
            for _ in range(count // TURNS):
                sign()
            times.append((time.process_time() - started) / (count // TURNS) * 1e6)
        costs[name] = Cost(min(times), statistics.median(times))
    return costs


async def main(calls: int) -> None:
    """Everything, one line each."""
    print(f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, httpx {httpx.__version__}\n")
    print("| variant | least | median |\n|---|---|---|")
    with serving() as base:
        async with contextlib.AsyncExitStack() as stack:
            connector = aiohttp.TCPConnector(limit=1024)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            client = WireClient(WireConfig(), AddressRules())
            await client.open()
            stack.push_async_callback(client.close)
            variants = clients(base, session, client)
            for provider, target in providers(base):
                await provider.open()
                stack.push_async_callback(provider.close)
                variants[f"provider {provider.name}"] = invoking(provider, target)
            show(await measure(variants, calls))
        show(await plain_httpx(base, calls // 20))
    show(signatures(calls))


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        uvloop.run(serve())
    else:
        uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000))
