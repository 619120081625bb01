"""The file of an export: written by one process at a time, taken up again after its last whole line."""

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from cli.export import Exported
from cli.failures import Stop, usage

_PIECE: Final = 1 << 16
_HEAD: Final = re.compile(
    rb'\{"kind":(?:"execution","executionId":"(?P<execution>[^"\\]{1,100})"'
    rb'|"definition","digest":"(?P<digest>[^"\\]{1,200})"),'
)
_BEGIN: Final = b'{"kind":'
_BUFFER: Final = 1 << 20


@contextmanager
def export_file(path: str, *, resume: bool) -> Iterator[tuple[IO[bytes], Exported, str | None]]:
    """The file to write to, what stands in it already, and the id of its last execution (None: it has none).

    It is readable by its owner only: inputs and outputs are in it. Without `resume` it must not exist yet.
    Raises Stop where it cannot be used, is no export, or another process writes it; what it is cut to is its
    last whole line. Leaving the block without an error makes it durable.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if resume else os.O_EXCL)
    try:
        number = os.open(path, flags, 0o600)
    except FileExistsError:
        raise usage(f"{path} exists already. Take it up again with --resume, or name another.") from None
    except (OSError, ValueError) as problem:
        raise usage(f"{path} cannot be written: {_why(problem)}.") from problem
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise usage(f"{path} is no file. Use `-` for standard output.")
    try:
        with os.fdopen(number, "r+b", _BUFFER) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Stop(f"Another export writes {path}.") from None
            done, last, end = _standing(file, path)
            file.truncate(end)
            file.seek(end)
            yield file, done, last
            file.flush()
            os.fsync(number)
    except OSError as problem:
        raise Stop(
            f"{path} cannot be written: {_why(problem)}. Go on with --resume when it can."
        ) from problem


def _standing(file: IO[bytes], path: str) -> tuple[Exported, str | None, int]:
    """What the whole lines say, the last execution among them, and where they end."""
    done, last, end = Exported(), None, 0
    for number, (head, ends_at) in enumerate(_lines(file), 1):
        found = _HEAD.match(head)
        if ends_at is None and (head.startswith(_BEGIN) or _BEGIN.startswith(head)):
            break  # the torn one, which is written again
        if found is None or ends_at is None:
            # What somebody else wrote is not ours to cut.
            raise usage(f"{path} is no export of Sidestep's (line {number}). It is left as it is.")
        if found["execution"] is not None:
            done.executions += 1
            last = found["execution"].decode("ascii", "replace")
        else:
            done.definitions.add(found["digest"].decode("ascii", "replace"))
        end = ends_at
    return done, last, end


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, int | None]]:
    """How each line begins, and where it ends; None for a last one that does not. Lines can be very long."""
    at, head = 0, b""
    while piece := file.readline(_PIECE):
        at += len(piece)
        head = head or piece
        if piece.endswith(b"\n"):
            yield head, at
            head = b""
    if head:
        yield head, None


def _why(problem: Exception) -> str:
    return str(getattr(problem, "strerror", None) or problem)
