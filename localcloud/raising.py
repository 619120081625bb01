"""Functions that run and fail by their own error, because something that they need is down."""

import time
from dataclasses import dataclass
from typing import Any, NoReturn

from localcloud.executor import Ended, Raises, Reply
from localcloud.metadata import Metadata
from sidestep_function import Call as FunctionCall
from sidestep_function import NotStarted, on_lambda

_MARK = "Sidestep-Error"


@dataclass(frozen=True, slots=True)
class _Failing:
    """A function's work that fails before it does anything."""

    raises: Raises

    def __call__(self, _payload: Any, _call: FunctionCall) -> NoReturn:
        raise self.raises.exception()


def lambda_handler(raises: Raises) -> Any:
    """A Lambda handler that fails so. It refuses a late start, as every wrapped function does."""
    return on_lambda(_Failing(raises))


def ended(values: Metadata, marked: Reply) -> Ended:
    """How it ends on an HTTP platform: with `marked`, or refused where the call came too late."""
    if values.not_after is not None and values.not_after < time.time() * 1000:
        body = b'{"errorType": "%s", "errorMessage": "the call came after its not-after instant"}'
        headers = {"Content-Type": "application/json", _MARK: "not-started"}
        return Ended("refused", Reply(412, headers, body % NotStarted.__name__.encode()))
    return Ended("raised", marked)
