"""The program of a child: it reads requests, answers them, and ends when nobody asks any more.

Started by child.py with the folder of this project as its only argument, on file descriptors 0 and 1. It
keeps no state between requests but what interpreters cache.
"""

import contextlib
import os
import re
import resource
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

from adapters.evaluator.frames import ENDS, FROM_CHILD, LARGEST, SMALLEST_REFUSED, STAYS, TO_CHILD
from core.data.evaluating import answer
from core.data.flow import EXPRESSION_ERROR, QUERY_ERROR, Answer, Flow, Frame, Request, Template

RECURSION: Final = 10_000
"""Frames of Python. Each costs little of the C stack, of which a process has 8 MiB."""

FILES: Final = 32
"""Open files: the two pipes, and those of modules that are imported late."""

_PEAK: Final = re.compile(rb"VmHWM:\s+([0-9]+) kB")


def main() -> None:
    """Serve requests until standard input ends."""
    memory = int(sys.argv[2])
    requests, answers = _channels()
    _leave_signals_alone()
    sys.setrecursionlimit(RECURSION)
    _warm()
    _limit(memory)
    enough = _resident() + memory // 4
    decoder = msgspec.json.Decoder(Request)
    if not _write(answers, FROM_CHILD.pack(0, STAYS)):
        return
    while header := _read(requests, TO_CHILD.size):
        size, microseconds = TO_CHILD.unpack(header)
        if size > LARGEST:
            return
        body = _read(requests, size)
        if body is None:
            return
        signal.setitimer(signal.ITIMER_PROF, microseconds / 1e6)
        made = _answer(decoder, body)
        signal.setitimer(signal.ITIMER_PROF, 0)
        ends = _resident() > enough
        if not _write(answers, FROM_CHILD.pack(len(made), ENDS if ends else STAYS) + made) or ends:
            return


def _answer(decoder: "msgspec.json.Decoder[Request]", body: bytes) -> bytes:
    """The encoded answer to an encoded request. Raises nothing."""
    name = QUERY_ERROR
    try:
        request = decoder.decode(body)
        if request.flow.language == "native":
            name = EXPRESSION_ERROR
        made = msgspec.json.encode(answer(request, bounded=False))
        most = max(SMALLEST_REFUSED, 2 * request.limit)
        if len(made) > most:
            return _failure(name, f"The expressions give {len(made)} bytes of JSON; the limit is {most}.")
    except MemoryError:
        return _failure(name, "The expression takes more memory than it may.")
    except RecursionError:
        return _failure(name, "The expression nests or recurses too deep.")
    except Exception as failed:  # noqa: BLE001 - a defect of ours is this request's failure, and no other's
        return _failure(name, f"The expression cannot be evaluated ({type(failed).__name__}).")
    return made


def _failure(name: str, cause: str) -> bytes:
    return msgspec.json.encode(Answer(error=name, cause=cause))


def _channels() -> tuple[int, int]:
    """Where requests come from and answers go; whatever a library prints goes nowhere."""
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return 0, answers


def _leave_signals_alone() -> None:
    """What a terminal or a supervisor sends to the whole group is meant for the server, which ends its
    children when it has no more use for them.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})


def _warm() -> None:
    """Have everything loaded that a first request would load."""
    flow = Flow(language="jsonata", arguments=Template("{% $sum([1, 2]) & $now() ~> /2/ %}"))
    msgspec.json.encode(answer(Request(kind="enter", flow=flow, frame=Frame(data={})), bounded=False))


def _limit(memory: int) -> None:
    """`memory` bytes more than what is mapped now, no files to write, no core."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        pages = 0
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, FILES)
    if pages:
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)


def _lower(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (bound, bound))


def _resident() -> int:
    """Bytes of memory that this process has held at once, at most.

    Linux's `ru_maxrss` is that of whoever started the process, too, where that was larger (getrusage(2)).
    """
    with contextlib.suppress(OSError):
        found = _PEAK.search(Path("/proc/self/status").read_bytes())
        if found:
            return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _read(source: int, size: int) -> bytes | None:
    """So many bytes, or None where they end before."""
    parts = []
    while size:
        part = os.read(source, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(sink: int, data: bytes) -> bool:
    """Write all; False where nobody reads any more."""
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(sink, left) :]
    except BrokenPipeError:
        return False
    return True
