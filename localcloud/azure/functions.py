"""Functions from `azure/function_app.py`: the HTTP triggers of its `azure.functions.FunctionApp`."""

import asyncio
import inspect
import logging
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

import azure.functions as func
from multidict import CIMultiDict

from localcloud.azure.routes import Route, RouteError
from localcloud.executor import Call, Ended, Reply
from localcloud.loading import FunctionsError, load
from localcloud.marks import state_of
from localcloud.workers import contained

log = logging.getLogger("sidestep.localcloud.functions")

Level = Literal["ANONYMOUS", "FUNCTION", "ADMIN"]
_LEVELS: dict[str, Level] = {"ANONYMOUS": "ANONYMOUS", "FUNCTION": "FUNCTION", "ADMIN": "ADMIN"}
_HTTP_BINDINGS = ("httpTrigger", "http")
_NOT_OURS = frozenset({"content-length", "connection", "transfer-encoding", "keep-alive"})


class LoopThread:
    """One event loop in a thread of its own, for functions written as coroutines."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine there and wait for it, in the thread that calls."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="localcloud-azure-loop", daemon=True
                )
                self._thread.start()
            loop = self._loop
        return asyncio.run_coroutine_threadsafe(_contained(coroutine), loop).result()

    async def stop(self, grace: float) -> None:
        """Cancel what runs there and end the thread."""
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop)
        await asyncio.to_thread(self._thread.join, grace)
        if not self._thread.is_alive():
            self._loop.close()


async def _contained(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns; SystemExit and KeyboardInterrupt would end the loop of all of them."""
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        raise contained(error) from error


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    asyncio.get_running_loop().stop()


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """One HTTP trigger. Without `methods` it takes all. `name`: its route; if that varies, its function's."""

    name: str
    function_name: str
    route: Route
    methods: frozenset[str]
    level: Level
    function: Callable[..., Any]
    argument: str
    wants_context: bool
    directory: Path

    def run(self, call: Call, parameters: dict[str, str], loop: LoopThread) -> Ended:
        """Serve one request in this thread. An exception is a 500 with an empty body, as the host answers."""
        request = func.HttpRequest(
            method=call.method,
            url=f"http://{call.headers.get('Host', 'localhost')}{call.path}"
            + (f"?{call.query}" if call.query else ""),
            headers=dict(call.headers),
            params=dict(parse_qsl(call.query, keep_blank_values=True)),
            route_params=parameters,
            body=call.body,
        )
        arguments: dict[str, Any] = {self.argument: request}
        if self.wants_context:
            trace = _Trace(call.headers.get("traceparent", ""), call.headers.get("tracestate", ""))
            arguments["context"] = _Context(self.function_name, str(self.directory), trace)
        try:
            result = self.function(**arguments)
            if inspect.iscoroutine(result):
                result = loop.run(result)
            reply = _reply(result)
        except BaseException as error:
            log.info("AZURE function %s raised", self.name, exc_info=error)
            return Ended("raised", Reply(500))
        return Ended(state_of(reply.status, reply.headers), reply)


@dataclass(frozen=True, slots=True)
class _Trace:
    trace_parent: str
    trace_state: str
    attributes: Mapping[str, str] = field(default_factory=dict)


class _Context(func.Context):
    """The invocation as a function sees it."""

    def __init__(self, function_name: str, directory: str, trace: "_Trace") -> None:
        self._function_name = function_name
        self._trace = trace
        self._directory = directory
        self._invocation_id = str(uuid.uuid4())

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def function_name(self) -> str:
        return self._function_name

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def thread_local_storage(self) -> type[threading.local]:
        return threading.local

    @property
    def trace_context(self) -> Any:
        return self._trace

    @property
    def retry_context(self) -> Any:
        return None


def find(directory: Path) -> dict[str, HttpTrigger]:
    """The HTTP triggers of `azure/function_app.py`. Raises FunctionsError where one cannot be used."""
    path = directory / "azure" / "function_app.py"
    if not path.exists():
        return {}
    app = getattr(load(path), "app", None)
    if not isinstance(app, func.FunctionApp):
        raise FunctionsError(f"{path} has no `app = azure.functions.FunctionApp()`")
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise FunctionsError(f"{path}: {error}") from error
    triggers = [_read(path, function) for function in functions if _is_http(path, function)]
    return {trigger.name: trigger for trigger in triggers}


def _is_http(path: Path, function: Any) -> bool:
    if not function.is_http_function():
        log.warning("%s: %s has no HTTP trigger and is left out", path, function.get_function_name())
        return False
    return True


def _read(path: Path, function: Any) -> HttpTrigger:
    name, trigger = function.get_function_name(), function.get_trigger()
    others = [binding.type for binding in function.get_bindings() if binding.type not in _HTTP_BINDINGS]
    if others:
        raise FunctionsError(f"{path}: {name} has bindings that are not here: {', '.join(others)}")
    try:
        route = Route(trigger.route)
    except RouteError as error:
        raise FunctionsError(f"{path}: {name}: {error}") from error
    user_function = function.get_user_function()
    parameters = inspect.signature(user_function).parameters
    if trigger.name not in parameters:
        raise FunctionsError(f"{path}: {name} has no parameter {trigger.name!r} for its request")
    level = _LEVELS.get(getattr(trigger.auth_level, "name", ""))
    if level is None:
        raise FunctionsError(f"{path}: {name} has an unknown auth level")
    return HttpTrigger(
        name=name if route.parameters else route.template,
        function_name=name,
        route=route,
        methods=frozenset(str(getattr(method, "value", method)).upper() for method in trigger.methods or ()),
        level=level,
        function=user_function,
        argument=trigger.name,
        wants_context="context" in parameters,
        directory=path.parent,
    )


def _reply(result: Any) -> Reply:
    if result is None:
        return Reply(204)
    if isinstance(result, str):
        return Reply(200, CIMultiDict({"Content-Type": "text/plain; charset=utf-8"}), result.encode())
    if not isinstance(result, func.HttpResponse):
        raise TypeError(f"a function must return an HttpResponse or a str, not {type(result).__name__}")
    headers = CIMultiDict((name, value) for name, value in result.headers if name.lower() not in _NOT_OURS)
    headers.setdefault("Content-Type", f"{result.mimetype}; charset={result.charset}")
    return Reply(result.status_code, headers, result.get_body())
