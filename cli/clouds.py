"""Starting localcloud: alone, or for a server in the same process."""

import errno
import shlex
from pathlib import Path
from typing import Any

import uvloop
from rich.text import Text

from cli.failures import FAILED, Stop, usage
from cli.output import emit, say
from cli.tether import tether, until_signalled
from localcloud.app import LocalCloud
from localcloud.loading import FunctionsError
from localcloud.settings import LocalCloudSettings


def prepare(
    port: int,
    functions: str | None = None,
    *,
    tls: bool = False,
    ca_file: str | None = None,
    names: bool = False,
) -> LocalCloud:
    """A local cloud that is not started yet."""
    directory = None if functions is None else Path(functions)
    if directory is not None and not directory.is_dir():
        raise usage(f"{functions} is no folder of functions.")
    if ca_file is not None and not tls:
        raise usage("--ca-file belongs to --tls.")
    path = None if ca_file is None else Path(ca_file)
    return LocalCloud(LocalCloudSettings(port=port, functions=directory, tls=tls, ca_file=path, names=names))


async def start(cloud: LocalCloud, option: str) -> None:
    """Start it. Raises Stop with a sentence where a port is taken or the functions cannot be used."""
    try:
        await cloud.start()
    except OSError as problem:
        if problem.errno != errno.EADDRINUSE:
            raise Stop(f"localcloud cannot listen: {problem.strerror or problem}.") from problem
        first, more = cloud.settings.port, 5 if cloud.settings.tls else 4
        raise Stop(
            f"localcloud needs the ports {first} to {first + more}, and one of them is taken. "
            f"Choose others with {option}, or end what uses them.",
            FAILED,
        ) from problem
    except FunctionsError as problem:
        raise usage(f"The functions cannot be used: {problem}") from problem


def places(cloud: LocalCloud) -> dict[str, str]:
    """Each provider's URL."""
    return {str(name): url for name, url in cloud.urls.items()}


def described(cloud: LocalCloud) -> list[Text]:
    """Where its servers are."""
    servers = {"control": cloud.control_url, **places(cloud), "names": f"{cloud.name_server} (DNS, UDP)"}
    if cloud.ca_file is not None:
        servers["CA file"] = str(cloud.ca_file)
    return [Text.assemble("  ", (f"{name:<8}", "bold"), url) for name, url in servers.items()]


def run_alone(cloud: LocalCloud, *, as_json: bool, tethered: bool) -> None:
    """Run localcloud until SIGINT or SIGTERM."""
    uvloop.run(_serve(cloud, as_json=as_json, tethered=tethered))


async def _serve(cloud: LocalCloud, *, as_json: bool, tethered: bool) -> None:
    with until_signalled() as asked:
        if tethered:
            tether()
        await start(cloud, "--port")
        try:
            if as_json:
                emit(_document(cloud))
            else:
                _print(cloud)
            await asked.wait()
        finally:
            await cloud.stop()


def _document(cloud: LocalCloud) -> dict[str, Any]:
    return {
        "control": cloud.control_url,
        "providers": places(cloud),
        "names": {str(name): url for name, url in cloud.named_urls.items()},
        "nameServer": cloud.name_server,
        "caFile": None if cloud.ca_file is None else str(cloud.ca_file),
        "environment": cloud.environment(),
    }


def _print(cloud: LocalCloud) -> None:
    say(Text("localcloud is up", "bold green"), *described(cloud), "")
    say("Point a Sidestep server at it with:", "")
    say(*(f"export {name}={shlex.quote(value)}" for name, value in cloud.environment().items()))
    say("", "Ctrl-C ends it.")
