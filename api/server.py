"""The server as a process: sockets, signals, and an orderly end."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address

import msgspec
import uvicorn
import uvloop

from api.app import Api, create_app
from api.bootstrap import build
from api.limits import Limits
from api.protocol import protocol_class
from api.roles import Role
from api.routes.metrics import numbers_of
from api.runtime import Runtime
from api.settings import Settings
from api.siblings import Siblings
from core.errors import ConfigurationError, SidestepError

log = logging.getLogger("sidestep.server")

BACKLOG = 2_048
KEEP_ALIVE_SECONDS = 30
"""How long an idle connection stays open."""

YOUNG = 10_000
"""How many new objects are looked through for garbage at once; some megabytes at most."""

CLOSING_SECONDS = 5
"""How long open requests may take once the server stops; then they are cut off. The engine's own grace time
comes after.
"""


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, with logs on stderr. Returns the exit code: 0 after an orderly end, 1
    with one sentence on stderr where the server cannot start.
    """
    configure_logging()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except SidestepError as error:
        print(f"sidestep: {error}", file=sys.stderr)  # noqa: T201 - this is what a user sees
        return 1
    return 0


async def serve(
    settings: Settings,
    *,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
    limits: Limits | None = None,
    runtime: Runtime | None = None,
    role: Role = Role.BOTH,
    listener: socket.socket | None = None,
    siblings: Siblings | None = None,
) -> None:
    """Serve on `settings.host` and `settings.port` (0: any free one; a worker's health: `worker_port`) until
    SIGTERM, SIGINT or `stop`, or on a `listener` that `siblings` share.

    `ready` is called with the server's URL once it takes requests. A `runtime`, not yet started, takes the
    place of the one that the settings and the `role` describe. Raises ConfigurationError where it cannot
    listen there, and whatever keeps the store or the providers from opening (StoreInUse, StoreMismatch,
    ConfigurationError), at once or once it is known, each a sentence. Everything is closed on return.
    """
    role = role if runtime is None else runtime.role
    limits = limits or settings.limits()
    port = settings.port if role.serves else settings.worker_port
    with listening(settings.host, port) if listener is None else contextlib.nullcontext(listener) as taken:
        runtime = runtime or build(settings, role)
        if role.serves and settings.public_url is None:
            runtime.callbacks.reached_at(url_of(taken))
        async with _running(runtime):
            app = create_app(settings, runtime, limits, runtime.role, siblings)
            async with _told_of(runtime, siblings):
                await _serve_on(taken, app, runtime, limits, ready, stop)


async def work(
    settings: Settings,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None] | None = None,
    runtime: Runtime | None = None,
) -> None:
    """Drive executions until `stop`, without listening anywhere; `ready` is called once it has begun. Raises
    as `serve` does.
    """
    runtime = runtime or build(settings, Role.WORKER)
    async with _running(runtime):
        log.info("working")
        if ready is not None:
            ready()
        await first_of(stop, runtime.failed)
        log.info("stopping")


@contextlib.asynccontextmanager
async def _running(runtime: Runtime) -> AsyncIterator[None]:
    """Start and stop it. Raises, once it is closed, why it could not go on."""
    await runtime.start()
    try:
        with _seldom_collected():
            yield
    finally:
        await runtime.stop()
    if runtime.failure is not None:
        raise runtime.failure


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for garbage in cycles seldom, and never in what is there from the start.

    Nearly everything that a step makes is freed without that; to look through all that is held, again and
    again, takes a fifth of the time where hundreds of executions are in hand.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextlib.asynccontextmanager
async def _told_of(runtime: Runtime, siblings: Siblings | None) -> AsyncIterator[None]:
    """Have the siblings know this process's numbers."""
    if siblings is None:
        yield
        return
    async with siblings.telling(lambda: msgspec.json.encode(numbers_of(runtime))):
        yield


async def _serve_on(
    listener: socket.socket,
    app: Api,
    runtime: Runtime,
    limits: Limits,
    ready: Callable[[str], None] | None,
    stop: asyncio.Event | None,
) -> None:
    config = uvicorn.Config(
        app,
        http=protocol_class(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=BACKLOG,
    )
    url = url_of(listener)
    if not ip_address(listener.getsockname()[0]).is_loopback:
        log.warning(
            "listening on %s, beyond loopback: this server has no authentication of its own, and answers "
            "to the host names in SIDESTEP_ALLOWED_HOSTS only",
            listener.getsockname()[0],
        )

    def started() -> None:
        log.info("serving on %s", url)
        if ready is not None:
            ready(url)

    server = _Server(config, runtime.begin_stop, started)
    async with _stopping(server, stop or asyncio.Event(), runtime.failed):
        await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it takes requests, and when it stops: work, streams and waits end before connections do."""

    def __init__(
        self, config: uvicorn.Config, stopping: Callable[[], None], started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._when_stopping = stopping
        self._when_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self.started:
            self._when_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, streams first."""
        log.info("stopping")
        self._when_stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end the server in order; they are not raised again afterwards, so that it can exit 0."""
        loop = asyncio.get_running_loop()
        taken = []
        for number in (signal.SIGINT, signal.SIGTERM):
            # Outside the main thread there are none to take.
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, self.handle_exit, number, None)
                taken.append(number)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _stopping(server: _Server, *events: asyncio.Event) -> AsyncIterator[None]:
    """Have any of `events` end the server."""

    async def watch() -> None:
        await first_of(*events)
        server.should_exit = True

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def first_of(*events: asyncio.Event) -> None:
    """Return when one of them is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket, so that a taken port is known before anything is opened."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(
            f"The host name {host!r} cannot be resolved ({error.strerror}); set SIDESTEP_HOST to a name or "
            "address of this machine."
        ) from error
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            raise ConfigurationError(
                f"Cannot listen on {host} port {port} ({error.strerror}); stop what uses that port, or "
                "choose another with --port or SIDESTEP_PORT."
            ) from error
        listener.setblocking(False)
        yield listener


def url_of(listener: socket.socket) -> str:
    """Where whoever is on this machine reaches it."""
    host, port = listener.getsockname()[:2]
    if listener.family == socket.AF_INET6:
        return f"http://[{'::1' if host == '::' else host}]:{port}"
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared, not bound


def configure_logging(level: int = logging.INFO) -> None:
    """Logs of this program on stderr, one line a record, each with the process's id, since several may write
    to one place; other libraries' from WARNING on.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("sidestep").setLevel(level)
