"""Lambda functions from a plain module.

Every public function named `*_handler` is a function: `charge_card_handler` is `charge-card`. Or
the module says so itself, and then it alone counts:

    FUNCTIONS = {
        "charge-card": charge,                                             # a handler
        "report": {"handler": report, "timeoutSeconds": 3, "aliases": {"live": "7"}},
        "broken": {"fault": "ServiceException"},                           # AWS fails, not the code
    }
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.aws.errors import FAULTS
from localcloud.loading import FunctionsError, load, public_name

Handler = Callable[[Any, Any], Any]

_SUFFIX = "_handler"
_KNOWN = {"handler", "timeoutSeconds", "aliases", "fault"}
_MAX_TIMEOUT = 900


@dataclass(frozen=True, slots=True)
class LambdaFunction:
    """One function. With `fault` every invocation is that error of AWS and nothing runs."""

    name: str
    handler: Handler | None
    timeout_seconds: float | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None


def find(directory: Path) -> dict[str, LambdaFunction]:
    """The functions of `aws/lambda_function.py`. Raises FunctionsError where one makes no sense."""
    path = directory / "aws" / "lambda_function.py"
    if not path.exists():
        return {}
    module = load(path)
    declared = getattr(module, "FUNCTIONS", None)
    if declared is None:
        declared = {
            public_name(name.removesuffix(_SUFFIX)): value
            for name, value in vars(module).items()
            if name.endswith(_SUFFIX) and not name.startswith("_") and callable(value)
        }
    if not isinstance(declared, dict):
        raise FunctionsError(f"{path}: FUNCTIONS must be a dict of names to handlers")
    return {name: _read(path, name, value) for name, value in declared.items()}


def _read(path: Path, name: object, value: object) -> LambdaFunction:
    if not isinstance(name, str):
        raise FunctionsError(f"{path}: {name!r} is no function name")
    if callable(value):
        return LambdaFunction(name, value)
    if not isinstance(value, dict) or set(value) - _KNOWN:
        raise FunctionsError(f"{path}: {name} must be a handler or a dict of {', '.join(sorted(_KNOWN))}")
    handler, fault = value.get("handler"), value.get("fault")
    timeout, aliases = value.get("timeoutSeconds"), value.get("aliases", {})
    if fault is not None and fault not in FAULTS.statuses:
        raise FunctionsError(f"{path}: {name}: {fault!r} is no error of AWS")
    if fault is None and not callable(handler):
        raise FunctionsError(f"{path}: {name} has no handler")
    if timeout is not None and (not isinstance(timeout, int | float) or not 0 < timeout <= _MAX_TIMEOUT):
        raise FunctionsError(f"{path}: {name}: timeoutSeconds must be above 0 and at most {_MAX_TIMEOUT}")
    if not isinstance(aliases, dict):
        raise FunctionsError(f"{path}: {name}: aliases must be a dict of alias to version")
    return LambdaFunction(name, handler, timeout, dict(aliases), fault)
