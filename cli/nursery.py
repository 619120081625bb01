"""Where processes of one command are born: a process that has loaded everything, and forks.

Children that begin with a fork share the pages of what was loaded, and are there in milliseconds. Forking is
safe only where no thread and no event loop exists, so one process is set aside for it before any of them:
the nursery. It does nothing but fork when it is told to, and tell how children ended. It keeps what has ended
until the supervisor knows, so that a process id never names somebody else.

A child gets what one that is started anew gets: its own session, signals as at a start, the environment that
it is given, and a pipe each for standard input and output. It then *returns* from `open_nursery`, as `Born`,
and goes on as any process does.

Where the nursery dies, its children are told to end (their standard input does), and others are started anew
instead. Where forking is not safe (macOS, whose own libraries do not survive it, or a thread that is there
already) there is no nursery at all.
"""

import asyncio
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from asyncio import StreamReader, StreamReaderProtocol
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MESSAGE: Final = 4_096
"""Bytes of the longest message; what is longer (an environment) goes through a file in memory."""

MOST_FILES: Final = 8

LOST: Final = 1
"""The exit code that is told of a child whose nursery died before it: nobody can know the real one."""

LAST_WORDS: Final = 1.0
"""Seconds that the nursery gets to bury who has ended, before it is killed."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Born:
    """What a child was told: whatever the supervisor wants it to know, its environment, and the open files
    that it was given.
    """

    word: Any
    environment: dict[str, str]
    descriptors: tuple[int, ...]


def can_fork() -> bool:
    """Whether this process may be forked now."""
    return sys.platform == "linux" and threading.active_count() == 1


def open_nursery() -> "Nursery | Born":
    """Set a nursery aside. Returns in this process, and once in every child. Raises OSError."""
    # What lives now lives on: no collection shall touch it, or its pages would be copied.
    gc.collect()
    gc.freeze()
    sys.stdout.flush()
    sys.stderr.flush()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid:
        theirs.close()
        return Nursery(ours, pid)
    ours.close()
    return _Nurse(theirs).run()


class _Nurse:
    """The nursery itself, and for a moment each child."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: set[int] = set()
        self._told: set[int] = set()
        self._woken, self._wake = os.pipe()

    def run(self) -> Born:
        """Fork on demand until the supervisor is gone. Returns in children only."""
        os.setsid()  # a Ctrl-C on a terminal is the supervisor's to hear
        for number in _SIGNALS[:3]:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        try:
            while True:
                ready, _, _ = select.select([self._control.fileno(), self._woken], [], [])
                if self._woken in ready:
                    with suppress(BlockingIOError):
                        os.read(self._woken, MESSAGE)
                    self._tell_of_ends()
                if self._control.fileno() in ready and (born := self._hear()) is not None:
                    return born
        except OSError:
            os._exit(0)  # nobody is there to tell

    def _hear(self) -> Born | None:
        message, files, _, _ = socket.recv_fds(self._control, MESSAGE, MOST_FILES)
        if not message:
            os._exit(0)
        pid = json.loads(message).get("bury")
        if pid is not None:
            os.waitpid(pid, 0)
            self._children.discard(pid)
            self._told.discard(pid)
            return None
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
        except OSError as problem:
            self._say({"failed": problem.strerror or str(problem)})
        else:
            if pid == 0:
                return self._be_born(files)
            self._children.add(pid)
            self._say({"born": pid})
        for file in files:
            os.close(file)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return None

    def _tell_of_ends(self) -> None:
        for pid in self._children - self._told:
            # Not waited for yet: until the supervisor knows, the id stays taken.
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                self._told.add(pid)
                self._say({"ended": pid, "code": code})

    def _say(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())

    def _be_born(self, files: list[int]) -> Born:
        self._control.close()
        signal.set_wakeup_fd(-1)
        os.close(self._woken)
        os.close(self._wake)
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in _SIGNALS[1:]:
            signal.signal(number, signal.SIG_DFL)
        stdin, stdout, told, *descriptors = files
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.close(stdin)
        os.close(stdout)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - standard streams stay open
        sys.stdout = open(1, "w", errors="replace", closefd=False)  # noqa: SIM115 - as above
        with open(told, "rb") as file:  # noqa: PTH123 - an open file has no path
            word = json.load(file)
        # A signal that came since the fork takes effect now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return Born(word["word"], word["environment"], tuple(descriptors))


class Forked:
    """A child, as `asyncio.subprocess.Process` shows one."""

    def __init__(self, pid: int, stdin: int, stdout: StreamReader) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._stdin = stdin
        self._over = asyncio.Event()

    async def wait(self) -> int:
        """Its exit code, or minus the signal that ended it; once it has ended."""
        await self._over.wait()
        return LOST if self.returncode is None else self.returncode

    def send_signal(self, number: int) -> None:
        """Raises ProcessLookupError."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def ended(self, code: int) -> None:
        """It has ended."""
        self.returncode = code
        self.let_go()
        self._over.set()

    def let_go(self) -> None:
        """End its standard input: where it lives, it stops in order."""
        stdin, self._stdin = self._stdin, -1
        if stdin >= 0:
            os.close(stdin)


class Nursery:
    """The supervisor's end. Use it on one event loop."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        self.pid = pid
        self._control = control
        self._control.setblocking(False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: deque[asyncio.Future[int]] = deque()
        self._children: dict[int, Forked] = {}
        self._early: dict[int, int] = {}  # ended before the asker went on
        self._minding: set[asyncio.Task[None]] = set()

    @property
    def alive(self) -> bool:
        """Whether it can still fork."""
        return self._control.fileno() >= 0

    async def bear(
        self, word: Any, environment: Mapping[str, str], descriptors: Sequence[int] = ()
    ) -> Forked:
        """Have a child that is told `word`, any JSON. Raises OSError."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self._control, self._hear)
        theirs, stdin = os.pipe()
        out, stdout = os.pipe()
        told = os.memfd_create("sidestep-word")
        try:
            os.write(told, json.dumps({"word": word, "environment": dict(environment)}).encode())
            os.lseek(told, 0, os.SEEK_SET)
            socket.send_fds(self._control, [b"{}"], [theirs, stdout, told, *descriptors])
            asked: asyncio.Future[int] = loop.create_future()
            self._asked.append(asked)
            pid = await asked
        except BaseException:
            os.close(stdin)
            os.close(out)
            raise
        finally:
            for file in (theirs, stdout, told):
                os.close(file)
        reader = StreamReader()
        await loop.connect_read_pipe(lambda: StreamReaderProtocol(reader), os.fdopen(out, "rb"))
        child = self._children[pid] = Forked(pid, stdin, reader)
        if pid in self._early:
            self._end(pid, self._early.pop(pid))
        elif not self.alive:
            self._mind(child)
        return child

    def close(self) -> None:
        """End the nursery; its children live on, but for their standard input.

        It ends by itself once it has heard all that it was told, so that whoever has ended is buried.
        """
        self._gone()
        with suppress(ChildProcessError):
            ends = time.monotonic() + LAST_WORDS
            while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                if time.monotonic() > ends:
                    os.kill(self.pid, signal.SIGKILL)
                    os.waitpid(self.pid, 0)
                    break
                time.sleep(0.002)
        for minding in self._minding:
            minding.cancel()

    def _hear(self) -> None:
        try:
            message = self._control.recv(MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._gone()
            return
        said = json.loads(message)
        if "ended" in said:
            pid = said["ended"]
            if pid in self._children:
                self._end(pid, said["code"])
            else:
                self._early[pid] = said["code"]
            return
        asked = self._asked.popleft()
        if asked.done():  # its asker was cancelled, and wants no child
            if "born" in said:
                os.kill(said["born"], signal.SIGKILL)
        elif "born" in said:
            asked.set_result(said["born"])
        else:
            asked.set_exception(OSError(0, said["failed"]))

    def _end(self, pid: int, code: int) -> None:
        self._children.pop(pid).ended(code)
        with suppress(OSError):
            self._control.send(json.dumps({"bury": pid}).encode())

    def _gone(self) -> None:
        if not self.alive:
            return
        if self._loop is not None:
            self._loop.remove_reader(self._control)
        self._control.close()
        while self._asked:
            asked = self._asked.popleft()
            if not asked.done():
                asked.set_exception(OSError(0, "the process that forks has died"))
        for child in self._children.values():
            self._mind(child)

    def _mind(self, child: Forked) -> None:
        """Nobody tells of this child's end any more. It is told to end, and looked at until it has."""
        child.let_go()
        if self._loop is not None:
            minding = self._loop.create_task(_until_gone(child))
            self._minding.add(minding)
            minding.add_done_callback(self._minding.discard)


async def _until_gone(child: Forked) -> None:
    began = _began(child.pid)
    while began is not None and _began(child.pid) == began:  # noqa: ASYNC110 - nobody else sets an event
        await asyncio.sleep(0.05)
    child.ended(LOST)


def _began(pid: int) -> str | None:
    """When the process began, which tells it from a later one of the same number; None once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
