"""Starting a server or workers: one process or several, with localcloud where that is asked for."""

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import typer
import uvloop

from api.allowance import default_limit
from api.app import create_app
from api.bootstrap import build, check_shared, open_store
from api.roles import Role
from api.runtime import GIVING_BACK
from api.server import CLOSING_SECONDS, configure_logging, listening, serve, url_of, work
from api.settings import CONFIG_VARIABLE, Settings, load
from api.siblings import Siblings
from api.variables import PREFIX, unknown
from cli.failures import FAILED, Stop
from cli.nursery import Born, Nursery, can_fork, open_nursery
from cli.output import emit, emit_line, say, styled
from cli.processes import REFUSED, Plan, Supervisor
from cli.tether import tether, until_signalled
from core.errors import SidestepError

if TYPE_CHECKING:
    from rich.text import Text

    from localcloud.app import LocalCloud

log = logging.getLogger("sidestep.processes")

CLOUDS: Final = tuple(f"SIDESTEP_PROVIDERS__{name}__" for name in ("AWS", "GCP", "AZURE"))

MARGIN: Final = 3.0
"""Seconds beyond all that an orderly end takes, before a process is killed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: settings by name, and localcloud's port, None where it is not wanted.

    `place` says of a process that a supervisor started which one it is.
    """

    options: Mapping[str, Any]
    config: str | None
    localcloud_port: int | None
    as_json: bool
    tethered: bool
    role: Role = Role.BOTH
    processes: int = 1
    place: "Place | None" = None


@dataclass(frozen=True, slots=True)
class Place:
    """Which process this is among those of a supervisor (from 1), the listening socket they share, and the
    folder in which they tell each other their numbers.
    """

    number: int
    of: int
    listener: int | None
    folder: str | None

    def text(self) -> str:
        """As the argument of `--supervised`; it holds nothing that has to be kept from `ps`."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Place":
        """From that argument."""
        return cls(**json.loads(text))


def run(wanted: Wanted) -> None:
    """Serve until SIGINT or SIGTERM. Raises Stop with a sentence where it cannot start or go on."""
    configure_logging()
    nursery = _nursery(wanted) if wanted.processes > 1 and can_fork() else None
    if isinstance(nursery, Born):
        os.environ.clear()
        os.environ.update(nursery.environment)
        wanted, nursery = _child_of(wanted, nursery), None
    # A supervisor waits and starts processes: the plain loop can do all of that.
    factory = uvloop.new_event_loop if wanted.processes == 1 else None
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_run(wanted, nursery))
    finally:
        if nursery is not None:
            nursery.close()


def _nursery(wanted: Wanted) -> Nursery | Born | None:
    """Where processes are forked that have everything loaded; None where there can be no such place."""
    # What is wrong is said later, once, by whoever needs it.
    logging.disable(logging.CRITICAL)
    try:
        settings = _settings(wanted, None)
        # Whatever that loads is shared; what it makes is thrown away, nothing is opened.
        create_app(settings, build(settings, wanted.role), role=wanted.role)
    except SidestepError:
        pass
    finally:
        logging.disable(logging.NOTSET)
    if can_fork():
        with contextlib.suppress(OSError):
            return open_nursery()
    return None


def _child_of(wanted: Wanted, born: Born) -> Wanted:
    """What a process that was told its arguments by a supervisor is to run."""
    place = Place.read(born.word[-1])
    if born.descriptors:
        place = replace(place, listener=born.descriptors[0])
    return Wanted(
        options={},
        config=None,
        localcloud_port=None,
        as_json=False,
        tethered=False,
        role=wanted.role,
        place=place,
    )


async def _run(wanted: Wanted, nursery: Nursery | None = None) -> None:
    with until_signalled() as asked:
        async with _localcloud(wanted.localcloud_port) as cloud:
            try:
                if wanted.place is not None:
                    await _run_in_place(wanted, wanted.place, asked)
                    return
                if wanted.tethered:
                    tether()
                if wanted.processes > 1:
                    await _supervise(wanted, cloud, asked, nursery)
                else:
                    await _run_alone(wanted, cloud, asked)
            except SidestepError as problem:
                if wanted.place is not None:
                    emit_line({"error": str(problem)})
                    raise typer.Exit(REFUSED) from problem
                raise Stop(str(problem), FAILED) from problem


async def _run_alone(wanted: Wanted, cloud: "LocalCloud | None", asked: asyncio.Event) -> None:
    settings = _settings(wanted, cloud)

    def ready(url: str | None = None) -> None:
        _tell(wanted, url, cloud, [os.getpid()])

    if wanted.role.serves or settings.worker_port:
        await serve(settings, ready=ready, stop=asked, role=wanted.role)
    else:
        await work(settings, ready=ready, stop=asked)


async def _run_in_place(wanted: Wanted, place: Place, asked: asyncio.Event) -> None:
    """Be one of a supervisor's processes: on its socket, and no longer than it."""
    settings = load(**wanted.options)
    tether(_patience(settings))

    def ready(url: str | None = None) -> None:
        emit_line({"up": url})

    if place.listener is None:
        await work(settings, ready=ready, stop=asked)
        return
    siblings = None if place.folder is None else Siblings(Path(place.folder), place.number, place.of)
    with socket.socket(fileno=place.listener) as listener:
        await serve(settings, ready=ready, stop=asked, role=wanted.role, listener=listener, siblings=siblings)


async def _supervise(
    wanted: Wanted, cloud: "LocalCloud | None", asked: asyncio.Event, nursery: Nursery | None
) -> None:
    """Start and keep several processes. What keeps all of them from starting is found out here, first."""
    settings = _settings(wanted, cloud)
    check_shared(settings.store, f"--processes {wanted.processes}")
    open_store(settings.store, settings=settings.redis)
    with _listener(wanted.role, settings) as listener, _folder(listener) as folder:
        descriptor = None if listener is None else listener.fileno()

        def arguments(number: int) -> tuple[str, ...]:
            command = ("worker",) if wanted.role is Role.WORKER else ("serve",)
            alone = ("--no-worker",) if wanted.role is Role.API else ()
            return (
                *command,
                *alone,
                "--supervised",
                Place(number, wanted.processes, descriptor, folder).text(),
            )

        supervisor = Supervisor(
            Plan(
                name="worker" if wanted.role is Role.WORKER else "server",
                count=wanted.processes,
                arguments=arguments,
                environment=_environment(wanted, cloud) | _share(settings, wanted.processes),
                patience=_patience(settings),
                descriptors=() if descriptor is None else (descriptor,),
            ),
            nursery,
        )
        url = None if listener is None else url_of(listener)
        await supervisor.run(asked, lambda: _tell(wanted, url, cloud, supervisor.pids))


@contextlib.contextmanager
def _listener(role: Role, settings: Settings) -> Iterator[socket.socket | None]:
    """The socket that the processes share; None for workers that tell nobody of their health."""
    port = settings.port if role.serves else settings.worker_port
    if not role.serves and port == 0:
        yield None
        return
    with listening(settings.host, port) as listener:
        yield listener


@contextlib.contextmanager
def _folder(listener: socket.socket | None) -> Iterator[str | None]:
    """A private folder for what the processes tell each other; None where nobody can ask them, or where none
    can be made: then each tells its own numbers only.
    """
    with contextlib.ExitStack() as stack:
        folder = None
        if listener is not None:
            try:
                made = TemporaryDirectory(prefix="sidestep-", ignore_cleanup_errors=True)
            except OSError as problem:
                log.warning(
                    "no temporary folder can be made (%s): each process tells its own numbers only",
                    problem.strerror,
                )
            else:
                folder = stack.enter_context(made)
        yield folder


def _patience(settings: Settings) -> float:
    """In how many seconds a process has ended after it was told to, unless something is wrong with it."""
    return CLOSING_SECONDS + settings.grace_seconds + GIVING_BACK + MARGIN


def _settings(wanted: Wanted, cloud: "LocalCloud | None") -> Settings:
    """The settings, pointed at `cloud` where there is one. This process's environment is not changed."""
    return load(_given(wanted, cloud), **wanted.options)


def _given(wanted: Wanted, cloud: "LocalCloud | None") -> dict[str, str]:
    """The environment, with `cloud` in the place of the real ones, and the settings file that was named."""
    environment = dict(os.environ)
    if cloud is not None:
        real = [name for name in environment if name.upper().startswith(CLOUDS)]
        environment = {name: value for name, value in environment.items() if name not in real}
        environment |= cloud.environment()
    if wanted.config is not None:
        environment[CONFIG_VARIABLE] = wanted.config
    return environment


def _environment(wanted: Wanted, cloud: "LocalCloud | None") -> dict[str, str]:
    """What children are given: options become variables, since a command line is shown to everybody by `ps`
    and a store's URL may hold a password. What is no setting was told of once, and is left out.
    """
    given = _given(wanted, cloud)
    options = {PREFIX + name.upper(): str(value) for name, value in wanted.options.items()}
    dropped = unknown(given, Settings).keys()
    kept = {
        name: value for name, value in given.items() if name not in dropped and name.upper() not in options
    }
    return kept | options


def _share(settings: Settings, processes: int) -> dict[str, str]:
    """Each process's part of the memory, where nobody said what one may have."""
    if settings.memory_limit is not None:
        return {}
    return {f"{PREFIX}MEMORY_LIMIT": str(default_limit(processes))}


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


def _tell(wanted: Wanted, url: str | None, cloud: "LocalCloud | None", pids: list[int]) -> None:
    where = None
    lines: list[Text | str] = []
    if cloud is not None:
        from cli.clouds import described, places

        where = {"control": cloud.control_url, "providers": places(cloud)}
        lines = ["", "localcloud:", *described(cloud), ""]
        lines.append("Put a cloud out with: sidestep localcloud outage AWS refused")
    what = {"server": url, "localcloud": where} if wanted.role.serves else {"worker": {"health": url}}
    if wanted.as_json:
        emit({**what, "processes": pids})
        return
    head: list[str | tuple[str, str]] = [
        (f"Sidestep{'' if wanted.role.serves else ' worker'} is up", "bold green")
    ]
    if url is not None:
        head += (" at " if wanted.role.serves else ", its health at ", (url, "bold"))
    if len(pids) > 1:
        head.append(f", in {len(pids)} processes")
    say(styled(*head), *lines, "Ctrl-C ends it.")
