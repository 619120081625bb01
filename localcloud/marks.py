"""What an HTTP function's own answer says of its execution."""

from collections.abc import Mapping

from localcloud.ledger import State

_NOT_STARTED = 412
_ERROR = 500


def state_of(status: int, headers: Mapping[str, str]) -> State:
    """`refused` and `raised` by the wrapper's mark or the functions framework's; else `completed`.

    `headers` ignore case.
    """
    mark = headers.get("Sidestep-Error")
    if status == _NOT_STARTED and mark == "not-started":
        return "refused"
    if status == _ERROR and (mark == "function" or headers.get("X-Google-Status") == "crash"):
        return "raised"
    return "completed"
