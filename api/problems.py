"""Errors as callers see them: RFC 9457 problems, each with a short sentence in `error` besides.

Nothing of the program's inside is told: no traceback, no value of a setting. An unexpected failure has an
incident id, under which the log has the rest.
"""

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from core.errors import (
    CallbackNotFound,
    Conflict,
    ExecutionEnded,
    ExecutionNotFound,
    IdempotencyConflict,
    InvalidDefinition,
    InvalidInput,
    JournalUnreadable,
    Problem,
    SidestepError,
    StoreError,
    StoreFull,
    StoreUnavailable,
    VersionConflict,
    VisitNotFound,
    WorkflowNotFound,
)

log = logging.getLogger("sidestep.api")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"retry-after": "1"}
_STORE_AWAY = (
    "The store is away for now, and whether it kept what was sent is not known. Send the request again; "
    "with an Idempotency-Key, a repeated creation makes one execution."
)
RETRY_WHEN_FULL = {"retry-after": "10"}
"""Room is made by retention or by a person, neither of which is done in a second."""


class Refusal(Exception):
    """A request that is answered with a problem.

    `code` is the last part of the problem's `type`, a URN; None stands for `about:blank`, whose meaning is
    the status alone. `error` is one short sentence, `detail` says what to do.
    """

    def __init__(
        self,
        status: int,
        code: str | None,
        error: str,
        detail: str,
        *,
        problems: tuple[Mapping[str, Any], ...] = (),
        headers: Mapping[str, str] | None = None,
        instance: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.error = error
        self.detail = detail
        self.problems = problems
        self.headers = dict(headers or {})
        self.instance = instance

    def body(self) -> bytes:
        """The problem document."""
        document: dict[str, Any] = {
            "type": "about:blank" if self.code is None else f"urn:sidestep:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.instance is not None:
            document["instance"] = self.instance
        document["error"] = self.error
        document["problems"] = self.problems
        return msgspec.json.encode(document)

    def response(self) -> Response:
        """The answer."""
        return Response(self.body(), self.status, self.headers, MEDIA_TYPE)


def told(problem: Problem, prefix: str = "", **more: str) -> dict[str, str]:
    """A problem as JSON; its pointer is set below `prefix`, so that it points into the request's body."""
    return {
        "pointer": prefix + problem.pointer,
        "code": problem.code,
        "detail": problem.detail,
        "mend": problem.mend,
        "severity": problem.severity,
        **more,
    }


def invalid_definition(problems: tuple[Mapping[str, Any], ...]) -> Refusal:
    """A definition that cannot run; nothing was created."""
    count = sum(problem["severity"] == "error" for problem in problems)
    return Refusal(
        HTTPStatus.BAD_REQUEST,
        "invalid-definition",
        "Invalid workflow definition",
        f"The workflow cannot run: {count} problem{'' if count == 1 else 's'}, listed in 'problems' with "
        "what mends each. Nothing was created.",
        problems=problems,
    )


def invalid_request(problems: tuple[Mapping[str, Any], ...]) -> Refusal:
    """A request whose parts cannot be used; nothing was done."""
    said = " ".join(str(problem["detail"]) for problem in problems[:3])
    return Refusal(HTTPStatus.BAD_REQUEST, "invalid-request", "Invalid request", said, problems=problems)


def unexpected(error: BaseException, what: str) -> Refusal:
    """The answer to a failure that nobody foresaw. The log has the traceback under the incident's id."""
    incident = secrets.token_hex(8)
    log.error("incident %s: %s failed unexpectedly", incident, what, exc_info=error)
    return Refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "unexpected",
        "Unexpected failure",
        f"The server failed in an unexpected way; its log tells more under incident {incident}.",
        instance=f"urn:sidestep:incident:{incident}",
    )


def refusal_for(error: SidestepError) -> Refusal:
    """What an error of the engine means to a caller."""
    text = str(error)
    match error:
        case InvalidDefinition():
            return invalid_definition(tuple(told(problem) for problem in error.problems))
        case InvalidInput():
            return Refusal(HTTPStatus.BAD_REQUEST, "invalid-request", "Invalid request", _sentence(text))
        case CallbackNotFound():
            return Refusal(
                HTTPStatus.NOT_FOUND,
                "callback-not-found",
                "Callback not found",
                "Nothing waits for this token. Send it as it was given to the function, or as "
                "GET /executions/{id}/waits shows it.",
            )
        case ExecutionNotFound():
            return Refusal(
                HTTPStatus.NOT_FOUND,
                "execution-not-found",
                "Execution not found",
                "There is no execution with this id. GET /executions lists those that there are.",
            )
        case WorkflowNotFound():
            return Refusal(
                HTTPStatus.NOT_FOUND,
                "workflow-not-found",
                "Workflow not found",
                "There is no such workflow, or not in this version. GET /workflows lists those that there "
                "are; PUT /workflows/{id} registers one.",
            )
        case VisitNotFound():
            return Refusal(HTTPStatus.NOT_FOUND, "visit-not-found", "Visit not found", _sentence(text))
        case IdempotencyConflict():
            return Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency-conflict",
                "Idempotency key used for another request",
                "This Idempotency-Key was used before with another workflow or input. Send the first request "
                "again to get its execution, or use a new key for a new one.",
            )
        case ExecutionEnded():
            return Refusal(HTTPStatus.CONFLICT, "execution-ended", "Execution has ended", _sentence(text))
        case VersionConflict() | Conflict():
            return Refusal(HTTPStatus.CONFLICT, "conflict", "Conflict", _sentence(text))
        case JournalUnreadable():
            log.error("a journal cannot be read: %s", error)
            return Refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "journal-unreadable",
                "Journal unreadable",
                "This execution's journal was written by a newer version of Sidestep, or is damaged; it was "
                "left as it is. Ask a server of the newer version.",
            )
        case StoreFull():
            return _store_full()
        case StoreUnavailable():
            return store_away()
        case StoreError():
            log.error("the store refused: %s", error)
            return store_away()
        case _:
            return unexpected(error, "a request")


def of_http(error: HTTPException, request: Request) -> Refusal:
    """What the router found: no such path, or not this method."""
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(_methods(request)))
        return Refusal(
            error.status_code,
            "method-not-allowed",
            "Method not allowed",
            f"This path does not take {request.method[:20]}. It takes {allowed}.",
            headers={"allow": allowed},
        )
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Refusal(
            error.status_code,
            "no-such-path",
            "No such path",
            "There is nothing at this path. GET / lists what there is.",
            headers=headers,
        )
    return Refusal(error.status_code, None, str(error.detail), str(error.detail), headers=headers)


def _methods(request: Request) -> set[str]:
    """What the path of a request can be asked: several routes may share it, and each knows only its own."""
    found: set[str] = set()
    for route in request.app.state.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return found


def store_away(detail: str = _STORE_AWAY) -> Refusal:
    """The store does not answer; `detail` says what that means for the call."""
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "store-unavailable",
        "Store unavailable",
        detail,
        headers=RETRY_AFTER,
    )


def _store_full() -> Refusal:
    return Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "store-full",
        "Store full",
        "The store keeps what room it has left for the executions that it holds already, so nothing was "
        "created. Send the request again later.",
        headers=RETRY_WHEN_FULL,
    )


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?", "!")) else f"{text}."
