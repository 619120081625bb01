"""Functions from `gcp/main.py`, run by Google's functions framework.

Every function decorated with `@functions_framework.http` is deployed: `charge_card` is `charge-card`.
As in the cloud each function has the module to itself; they share no globals.
"""

import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

import functions_framework
from functions_framework import _function_registry as registry
from multidict import CIMultiDict

from localcloud.executor import Call, Ended, Reply
from localcloud.gcp.errors import fault
from localcloud.loading import FunctionsError, importing_from, load, public_name
from localcloud.marks import state_of
from localcloud.vendor import FaultOptions

log = logging.getLogger("sidestep.localcloud.functions")

_VARIABLES = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "FUNCTION_SOURCE")
_NOT_OURS = frozenset({"content-length", "connection", "transfer-encoding", "keep-alive"})

_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class HttpFunction:
    """One function and the framework's application around it."""

    name: str
    entry_point: str
    app: _Wsgi

    def run(self, call: Call, path: str) -> Ended:
        """Serve one request in this thread; `path` is what follows the function's own URL.

        The framework answers for exceptions. What ends a program (SystemExit) ends the instance: a crash.
        """
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            started[:] = [status, headers]

        try:
            body = _body(self.app(_environ(call, path), start_response))
        except BaseException as error:
            log.info("GCP function %s ended its instance", self.name, exc_info=error)
            return Ended("raised", fault("crash", FaultOptions()))
        status = int(started[0].split(" ", 1)[0])
        headers = CIMultiDict((name, value) for name, value in started[1] if name.lower() not in _NOT_OURS)
        return Ended(state_of(status, headers), Reply(status, headers, body))


def _body(chunks: Iterable[bytes]) -> bytes:
    try:
        return b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def find(directory: Path) -> dict[str, HttpFunction]:
    """The functions of `gcp/main.py`. Raises FunctionsError where one cannot be used."""
    path = directory / "gcp" / "main.py"
    if not path.exists():
        return {}
    with _own_registry():
        module = load(path)
        entry_points = [name for name, value in vars(module).items() if _is_http(path, name, value)]
        return {
            public_name(name): HttpFunction(public_name(name), name, _application(path, name))
            for name in entry_points
        }


def _is_http(path: Path, name: str, value: object) -> bool:
    """Whether a name of the module is one that the framework's decorator made a function of."""
    if not isinstance(value, FunctionType) or name.startswith("_"):
        return False
    match value.__globals__.get("__name__"):
        case "functions_framework":
            return registry.REGISTRY_MAP.get(value.__name__) == registry.HTTP_SIGNATURE_TYPE
        case "functions_framework.aio":
            raise FunctionsError(
                f"{path}: {name} is a function of functions_framework.aio; only plain ones run"
            )
        case _:
            return False


def _application(path: Path, entry_point: str) -> _Wsgi:
    try:
        with importing_from(path.parent):
            app: Any = functions_framework.create_app(entry_point, str(path), "http")  # type: ignore[no-untyped-call]  # has no types
    except Exception as error:
        raise FunctionsError(f"{path}: {entry_point}: {type(error).__name__}: {error}") from error
    # Flask would print the traceback of every function that fails by its own fault.
    app.log_exception = lambda exc_info: log.info("GCP function %s raised", entry_point, exc_info=exc_info)
    wsgi: _Wsgi = app
    return wsgi


@contextmanager
def _own_registry() -> Iterator[None]:
    """The framework registers by name, process-wide, and leaves settings in the environment: undo both."""
    kinds, asynchronous = dict(registry.REGISTRY_MAP), set(registry.ASGI_FUNCTIONS)
    variables = {name: os.environ.pop(name) for name in _VARIABLES if name in os.environ}
    registry.REGISTRY_MAP.clear()
    registry.ASGI_FUNCTIONS.clear()
    try:
        yield
    finally:
        for name in _VARIABLES:
            os.environ.pop(name, None)
        os.environ.update(variables)
        registry.REGISTRY_MAP.clear()
        registry.REGISTRY_MAP.update(kinds)
        registry.ASGI_FUNCTIONS.clear()
        registry.ASGI_FUNCTIONS.update(asynchronous)


def _environ(call: Call, path: str) -> dict[str, Any]:
    host, _, port = call.headers.get("Host", "localhost").partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": call.query,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(call.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(call.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in call.headers.items():
        variable = name.upper().replace("-", "_")
        match variable:
            case "CONTENT_TYPE":
                environ[variable] = value
            case "CONTENT_LENGTH" | "TRANSFER_ENCODING":
                pass
            case "AUTHORIZATION":
                # A function sees who called, but nothing that it could call others with.
                environ["HTTP_AUTHORIZATION"] = value.rpartition(".")[0] + ".SIGNATURE_REMOVED_BY_GOOGLE"
            case _:
                environ[f"HTTP_{variable}"] = value
    return environ
