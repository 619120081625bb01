"""Starting the server, alone or with localcloud in the same process."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import uvloop
from rich.text import Text

from api.server import configure_logging, serve
from api.settings import CONFIG_VARIABLE, Settings, load
from cli.failures import FAILED, Stop
from cli.output import emit, say
from cli.tether import tether, until_signalled
from core.errors import SidestepError

if TYPE_CHECKING:
    from localcloud.app import LocalCloud

CLOUDS: Final = tuple(f"SIDESTEP_PROVIDERS__{name}__" for name in ("AWS", "GCP", "AZURE"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: settings by name, and localcloud's port, None where it is not wanted."""

    options: Mapping[str, Any]
    config: str | None
    localcloud_port: int | None
    as_json: bool
    tethered: bool


def run(wanted: Wanted) -> None:
    """Serve until SIGINT or SIGTERM. Raises Stop with a sentence where it cannot start."""
    configure_logging()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(wanted))


async def _run(wanted: Wanted) -> None:
    with until_signalled() as asked:
        if wanted.tethered:
            tether()
        async with _localcloud(wanted.localcloud_port) as cloud:

            def ready(url: str) -> None:
                _tell(url, cloud, as_json=wanted.as_json)

            try:
                await serve(_settings(wanted, cloud), ready=ready, stop=asked)
            except SidestepError as problem:
                raise Stop(str(problem), FAILED) from problem


def _settings(wanted: Wanted, cloud: "LocalCloud | None") -> Settings:
    """The settings, pointed at `cloud` where there is one. This process's environment is not changed."""
    environment = dict(os.environ)
    if cloud is not None:
        real = [name for name in environment if name.upper().startswith(CLOUDS)]
        environment = {name: value for name, value in environment.items() if name not in real}
        environment |= cloud.environment()
    if wanted.config is not None:
        environment[CONFIG_VARIABLE] = wanted.config
    return load(environment, **wanted.options)


@asynccontextmanager
async def _localcloud(port: int | None) -> AsyncIterator["LocalCloud | None"]:
    if port is None:
        yield None
        return
    from cli import clouds

    cloud = clouds.prepare(port)
    await clouds.start(cloud, "--localcloud-port")
    try:
        yield cloud
    finally:
        await cloud.stop()


def _tell(url: str, cloud: "LocalCloud | None", *, as_json: bool) -> None:
    where = None
    lines: list[Text | str] = []
    if cloud is not None:
        from cli.clouds import described, places

        where = {"control": cloud.control_url, "providers": places(cloud)}
        lines = ["", "localcloud:", *described(cloud), ""]
        lines.append("Put a cloud out with: sidestep localcloud outage AWS refused")
    if as_json:
        emit({"server": url, "localcloud": where})
        return
    say(Text.assemble(("Sidestep is up", "bold green"), " at ", (url, "bold")), *lines, "Ctrl-C ends it.")
