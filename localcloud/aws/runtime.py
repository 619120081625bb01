"""Runs a Lambda handler as Lambda's Python runtime does: its context, its result, its errors."""

import json
import logging
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from localcloud.aws.functions import Handler
from localcloud.executor import Ended, Reply
from localcloud.ledger import State

log = logging.getLogger("sidestep.localcloud.functions")

_MAX_RESULT = 6_291_556  # bytes; from the message of Function.ResponseSizeTooLarge


@dataclass(frozen=True, slots=True)
class ClientContext:
    """What a caller sent in `X-Amz-Client-Context`."""

    custom: dict[str, Any] = field(default_factory=dict)
    env: dict[str, Any] = field(default_factory=dict)
    client: dict[str, Any] | None = None


@dataclass(slots=True)
class LambdaContext:
    """The second argument of a handler, with the attributes of the real one."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    aws_request_id: str
    client_context: ClientContext | None
    timeout_seconds: float
    memory_limit_in_mb: str = "128"
    identity: object | None = None
    log_stream_name: str = "localcloud"
    deadline: float = 0.0

    @property
    def log_group_name(self) -> str:
        """The function's log group."""
        return f"/aws/lambda/{self.function_name}"

    def start_clock(self) -> None:
        """The function starts now."""
        self.deadline = time.monotonic() + self.timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is given up."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def run(handler: Handler, event: Any, context: LambdaContext) -> Ended:
    """Call a handler. What it raises is a 200 with `X-Amz-Function-Error: Unhandled`."""
    context.start_clock()
    try:
        result = handler(event, context)
    except BaseException as error:
        log.info("AWS function %s raised", context.function_name, exc_info=error)
        name = "Runtime.ExitError" if isinstance(error, SystemExit) else type(error).__name__
        refused = name == "Sidestep.NotStarted"
        return _failed(name, str(error), context, _stack(error), "refused" if refused else "raised")
    try:
        body = json.dumps(result, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return _failed("Runtime.MarshalError", f"Unable to marshal response: {error}", context, [])
    if len(body) > _MAX_RESULT:
        message = (
            f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload size "
            f"({_MAX_RESULT} bytes)."
        )
        return _failed("Function.ResponseSizeTooLarge", message, context, None)
    return Ended("completed", Reply(200, {}, body))


def timed_out(context: LambdaContext) -> Reply:
    """What Lambda answers for a function that ran longer than it may."""
    return _error_reply(
        "Sandbox.Timedout",
        f"RequestId: {context.aws_request_id} Error: Task timed out after "
        f"{context.timeout_seconds:.2f} seconds",
    )


def _failed(
    name: str, message: str, context: LambdaContext, stack: list[str] | None, state: State = "raised"
) -> Ended:
    return Ended(state, _error_reply(name, message, requestId=context.aws_request_id, stackTrace=stack))


def _error_reply(name: str, message: str, **members: object) -> Reply:
    body: dict[str, object] = {"errorMessage": message, "errorType": name}
    body |= {key: value for key, value in members.items() if value is not None}
    return Reply(200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(body, ensure_ascii=False).encode())


def _stack(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is this module's own
    return traceback.format_list(frames)
