"""The processes of one case: localcloud, the store, one or two servers; each fresh, each ended by its id."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from chaos.programs import Program, free_port
from localcloud.client import ControlClient, connect
from outages.cases import Act, Case
from outages.links import Link
from tests.redis_servers import start_node

_READY_SECONDS: Final = 60.0
_PAUSE: Final = 0.1
_ENDPOINTS: Final = (
    "SIDESTEP_PROVIDERS__AWS__ENDPOINT_URL",
    "SIDESTEP_PROVIDERS__GCP__BASE_URL",
    "SIDESTEP_PROVIDERS__AZURE__BASE_URL",
)


@dataclass(slots=True)
class Stage:
    """What a case is played on. `store_links` and `cloud_links` are the second replica's."""

    servers: list[Program]
    control: ControlClient
    session: aiohttp.ClientSession
    store_links: list[Link] = field(default_factory=list)
    cloud_links: list[Link] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """The servers' URLs, the first replica's first."""
        return [f"http://127.0.0.1:{one.option('--port')}" for one in self.servers]


@contextlib.asynccontextmanager
async def stage(case: Case, folder: Path, settings: Mapping[str, str]) -> AsyncIterator[Stage]:
    """Everything that the case needs, ready; taken down in the other order, whatever happens.

    `settings` are variables for the servers beside the case's own. Raises NotStarted, TimeoutError.
    """
    async with contextlib.AsyncExitStack() as stack:
        options = [name for name, asked in (("--tls", case.tls), ("--names", case.names)) if asked]
        arguments = ["localcloud", "--port", "0", *options]
        clouds = Program("localcloud", arguments, folder, {})
        stack.push_async_callback(clouds.end)
        clouds.start()
        where = await clouds.document()
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=400), timeout=aiohttp.ClientTimeout(total=30)
            )
        )
        control = await stack.enter_async_context(connect(str(where["control"])))
        ready = Stage([], control, session)
        common = {
            **{str(name): str(value) for name, value in where["environment"].items()},
            "SIDESTEP_TRACEBACK": "1",
            **case.settings,
            **settings,
        }
        for number, environment in enumerate(await _environments(case, folder, common, ready, stack)):
            program = Program(f"server-{number}", ["serve", "--port", str(free_port())], folder, environment)
            stack.push_async_callback(program.end)
            program.start()
            ready.servers.append(program)
        for program in ready.servers:
            await program.document()
        await asyncio.gather(*(up(session, url) for url in ready.urls))
        yield ready


async def up(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until a server is ready. Raises TimeoutError."""
    async with asyncio.timeout(_READY_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:  # noqa: PLR2004 - OK
                        return
            await asyncio.sleep(_PAUSE)


async def _environments(
    case: Case, folder: Path, common: Mapping[str, str], ready: Stage, stack: contextlib.AsyncExitStack
) -> list[dict[str, str]]:
    """A server's environment each; the second one's goes through relays where the case cuts them."""
    if case.replicas == 1:
        return [{**common, "SIDESTEP_STORE": f"sqlite:{folder / 'sidestep.db'}"}]
    node = await asyncio.to_thread(lambda: stack.enter_context(start_node()))
    acts = {deed.act for deed in case.deeds}
    first = {**common, "SIDESTEP_STORE": node.url}
    second = dict(first)
    if Act.CUT_STORE in acts:
        link = await _linked(node.port, stack)
        ready.store_links.append(link)
        second["SIDESTEP_STORE"] = _through(node.url, link)
    if Act.CUT_WAY_OUT in acts:
        for name in _ENDPOINTS:
            link = await _linked(_port(common[name]), stack)
            ready.cloud_links.append(link)
            second[name] = _through(common[name], link)
    return [first, second]


async def _linked(port: int, stack: contextlib.AsyncExitStack) -> Link:
    link = await Link(port).start()
    stack.push_async_callback(link.close)
    return link


def _through(url: str, link: Link) -> str:
    """The same URL by way of the relay."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{host}:{link.port}"))


def _port(url: str) -> int:
    port = urlsplit(url).port
    if port is None:
        raise ValueError(f"{url} names no port")
    return port
