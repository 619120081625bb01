"""The command as users run it, on loopback and without a terminal: in this process, or in one of its own."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import IO, Any

from cli.main import main

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-P", "-m", "cli.main"]
PATIENCE = 60.0


def environment(**more: str) -> dict[str, str]:
    """Ours, without any setting of Sidestep's."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SIDESTEP_")}
    return {**ours, **more}


class Done:
    """What a command that has ended printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err
        assert "Traceback" not in self.out + self.err, self.err
        assert "\x1b" not in self.out + self.err

    def json(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)


class Sidestep:
    """Runs commands against one server and one localcloud."""

    def __init__(self, folder: Path, server: str, control: str) -> None:
        self.folder = folder
        self.server = server
        self.control = control

    def __call__(self, *arguments: str, text: str = "", server: str | None = None) -> Done:
        """Run a command in this process, which spares it the half second in which an interpreter starts."""
        out, err = _stream(), _stream()
        with (
            chdir(self.folder),
            redirect_stdout(out),
            redirect_stderr(err),
            _standing_in(["sidestep", *arguments], _stream(text), self._environment(server)),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code
            else:
                code = 0
        assert isinstance(code, int), code
        return Done(code, _written(out), _written(err))

    def apart(self, *arguments: str) -> Done:
        """Run a command in a process of its own."""
        process = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self._environment(),
            input="",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Done(process.returncode, process.stdout, process.stderr)

    def _environment(self, server: str | None = None) -> dict[str, str]:
        return environment(SIDESTEP_SERVER=server or self.server, SIDESTEP_LOCALCLOUD=self.control)

    def file(self, document: object, name: str = "flow.json") -> str:
        """A file with this JSON, or this text."""
        path = self.folder / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)


def _stream(text: str = "") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", write_through=True)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@contextmanager
def _standing_in(arguments: list[str], stdin: io.TextIOWrapper, variables: dict[str, str]) -> Iterator[None]:
    """This process with the arguments, standard input and environment of another one."""
    before = sys.argv, sys.stdin, dict(os.environ)
    sys.argv, sys.stdin = arguments, stdin
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        sys.argv, sys.stdin = before[:2]
        os.environ.clear()
        os.environ.update(before[2])


@contextmanager
def started(*arguments: str, folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command that runs until the block ends; what it prints can be read from its `stdout`."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def document(stream: IO[str] | None) -> Any:
    """The first JSON document, over several lines, of a stream that goes on."""
    assert stream is not None
    text = ""
    for line in stream:
        text += line
        if line == "}\n":
            return json.loads(text)
    raise AssertionError(f"no document in {text!r}")


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, f"never: {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """True where this process runs (a zombie does not)."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def servers(pid: int) -> list[int]:
    """The processes of `--processes` that a supervisor keeps: where it has them forked, the nursery's."""
    return [below for child in children(pid) for below in (children(child) or [child])]


def on_terminal(*arguments: str, columns: int) -> str:
    """What the command writes to a terminal of this width."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment(COLUMNS=str(columns), LINES="40", TERM="xterm-256color"),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
    finally:
        os.close(theirs)
    told = b""
    try:
        with suppress(OSError):  # the terminal's other end is closed: it ended
            while data := os.read(ours, 65_536):
                told += data
        assert process.wait(timeout=60) == 0
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
            process.wait()
    return told.decode()
