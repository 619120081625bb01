"""How a command ends when it cannot do what was asked: one sentence and an exit code."""

from typing import Any, Final

OK: Final = 0
FAILED: Final = 1
"""A waited-for execution failed, a definition is invalid, or the server refused what was asked."""
USAGE: Final = 2
"""The command line, a file or the request cannot be used."""
STILL_RUNNING: Final = 4
"""`--timeout` passed before the execution ended; it goes on."""
UNREACHABLE: Final = 5
"""No Sidestep server answers there."""
INTERRUPTED: Final = 130
"""Ctrl-C, as shells count it (128 + SIGINT)."""


class Stop(Exception):
    """End the command with `message` (for people, no trailing newline) and exit code `code`.

    `problem` is the server's own problem document where it gave one.
    """

    def __init__(self, message: str, code: int = FAILED, problem: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.problem = problem

    def document(self) -> dict[str, Any]:
        """What `--json` prints in place of a result."""
        said: dict[str, Any] = {"error": self.message, "exitCode": self.code}
        return said if self.problem is None else {**said, "problem": self.problem}


def usage(message: str) -> Stop:
    """A Stop for what the caller can mend on the command line."""
    return Stop(message, USAGE)
