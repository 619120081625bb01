"""The HTTP API as the commands call it. Every failure comes out as a Stop with a sentence."""

import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from cli.failures import FAILED, UNREACHABLE, USAGE, Stop, usage
from cli.sse import Message, messages

TIMEOUT_SECONDS: Final = 30.0
_CALLERS_FAULT: Final = (400, 405, 406, 413, 414, 415, 422)
"""What the caller can mend in the command line or the file: exit 2. Other refusals are exit 1."""


class StreamBroken(Exception):
    """A stream of events ended before its execution did: connect again."""


class Client:
    """A connection to one server. `what` names it in sentences.

    Raises Stop: 5 where nothing answers at `server` or what answers is no Sidestep server; 2 or 1 with the
    server's own words where it refused.
    """

    def __init__(
        self,
        server: str,
        *,
        what: str = "Sidestep server",
        start: str = "sidestep serve",
        option: str = "--server",
    ) -> None:
        self._server = checked_url(server, option)
        self._what = what
        self._hint = f"Start one with `{start}`, or name another with {option}."
        host = httpx.URL(self._server).host
        # A proxy from the environment is for the world outside, not for a server on this machine.
        self._http = httpx.Client(
            base_url=self._server,
            timeout=TIMEOUT_SECONDS,
            trust_env=not is_loopback(host),
            headers={"User-Agent": "sidestep-cli", "Accept": "application/json"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at `path`; members of `query` that are None are left out."""
        return self.call("GET", path, params={name: v for name, v in query.items() if v is not None})

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        """The JSON answer to a POST of `body`."""
        return self.call("POST", path, content=encode(body), headers=_json(headers))

    def put(self, path: str, body: Any) -> Any:
        """The JSON answer to a PUT of `body`."""
        return self.call("PUT", path, content=encode(body), headers=_json(None))

    def delete(self, path: str, **query: Any) -> Any:
        """The JSON answer to a DELETE."""
        return self.call("DELETE", path, params={name: v for name, v in query.items() if v is not None})

    def call(self, method: str, path: str, **request: Any) -> Any:
        """Any call; None for an empty answer."""
        try:
            answer = self._http.request(method, path, **request)
        except httpx.HTTPError as problem:
            raise self._unreachable(problem) from problem
        if not answer.is_success:
            raise self._refusal(answer)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as problem:
            raise self._stranger() from problem

    @contextmanager
    def stream(self, path: str, after: int, quiet: float) -> Iterator[Iterator[Message | None]]:
        """Server-Sent Events from `path`, after the event numbered `after`; None for each comment.

        Leaving the loop early is legal. Raises StreamBroken where the connection is lost on the way, where
        nothing came for `quiet` seconds, and where a server that is resumed is not ready.
        """
        headers = {"Accept": "text/event-stream"}
        if after:
            headers["Last-Event-ID"] = str(after)
        timeout = httpx.Timeout(TIMEOUT_SECONDS, read=quiet)
        connected = False
        try:
            with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    if after and answer.is_server_error:
                        raise StreamBroken(f"status {answer.status_code}")
                    raise self._refusal(answer)
                connected = True
                yield messages(answer.iter_lines())
        except httpx.HTTPError as problem:
            if connected:
                raise StreamBroken(str(problem)) from problem
            raise self._unreachable(problem) from problem

    def _unreachable(self, problem: httpx.HTTPError) -> Stop:
        match problem:
            case httpx.ConnectError():
                why = "the connection failed"
            case httpx.ConnectTimeout():
                why = "no connection in time"
            case httpx.TimeoutException():
                return Stop(
                    f"The {self._what} at {self._server} did not answer within {TIMEOUT_SECONDS:.0f} s.",
                    UNREACHABLE,
                )
            case _:
                why = str(problem) or type(problem).__name__
        return Stop(f"No {self._what} answers at {self._server} ({why}). {self._hint}", UNREACHABLE)

    def _stranger(self) -> Stop:
        return Stop(f"What answers at {self._server} is no {self._what}. {self._hint}", UNREACHABLE)

    def _refusal(self, answer: httpx.Response) -> Stop:
        try:
            problem = answer.json()
        except ValueError:
            return self._stranger()
        if not isinstance(problem, dict):
            return self._stranger()
        code = USAGE if answer.status_code in _CALLERS_FAULT else FAILED
        return Stop(told_problem(problem, answer.status_code), code, problem)


def encode(body: Any) -> bytes:
    """`body` as JSON, in UTF-8."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8", "surrogatepass"
    )


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")


def told_problem(problem: dict[str, Any], status: int) -> str:
    """A problem document (RFC 9457) as sentences: what is wrong, then each place with its mend."""
    sentence = next(
        (str(problem[name]) for name in ("detail", "error", "title") if problem.get(name)),
        f"The server answered {status}.",
    )
    details = problem.get("problems")
    found = details if isinstance(details, list) else []
    lines = [told_detail(one) for one in found if isinstance(one, dict)]
    lines += [one for one in found if isinstance(one, str) and one not in sentence]
    return "\n".join((sentence, *(f"  {line}" for line in lines)))


def told_detail(one: dict[str, Any]) -> str:
    """One problem of a document: its pointer, the sentence, the mend."""
    place = one.get("pointer") or one.get("parameter") or "the document"
    said = one.get("detail") or one.get("message") or one.get("code") or "is wrong"
    mend = one.get("mend")
    hint = "hint: " if one.get("severity") == "hint" else ""
    return f"{hint}{place}: {said}" + (f" {mend}" if mend else "")


def checked_url(server: str, option: str = "--server") -> str:
    """`server` without a trailing slash. Raises Stop (2) where it is no http or https URL."""
    try:
        url = httpx.URL(server)
    except (httpx.InvalidURL, ValueError) as problem:
        raise usage(f"{server!r} is no URL: {problem}. Use {option} http://127.0.0.1:3000.") from problem
    if url.scheme not in {"http", "https"} or not url.host:
        raise usage(f"{server!r} is no http or https URL. Use {option} http://127.0.0.1:3000.")
    return server.rstrip("/")


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _json(headers: dict[str, str] | None) -> dict[str, str]:
    return {"Content-Type": "application/json", **(headers or {})}
