"""A pause of this process: what was answered meanwhile counts, and what is silent still ends."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from adapters.providers.http.config import HttpConfig
from adapters.providers.http.provider import HttpProvider
from core.engine.patience import Patience
from core.failover.outcome import Executed, Outcome
from core.graph.model import Target
from tests.providers.driving import call_of, opened

TIMEOUT_MS = 300
PAUSE_SECONDS = 0.8
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n"
BODY = b"true"

Loop = Callable[[Coroutine[Any, Any, Any]], Any]


class Peer:
    """One connection's server in a thread of its own, so that it answers while the client's loop stands.

    It sends `at_once` when the request has come, and `meanwhile` once the client is `paused`.
    """

    def __init__(self, at_once: bytes, meanwhile: bytes) -> None:
        self.at_once = at_once
        self.meanwhile = meanwhile
        self.arrived = threading.Event()
        self.paused = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator["Peer"]:
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield self
        finally:
            self.paused.set()
            thread.join(10)
            self._listener.close()

    def _serve(self) -> None:
        self._listener.settimeout(10)
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(10)
            received = b""
            while not received.endswith(b"\r\n\r\n{}"):
                received += connection.recv(65536)
            connection.sendall(self.at_once)
            self.arrived.set()
            self.paused.wait(10)
            connection.sendall(self.meanwhile)
            with contextlib.suppress(ConnectionError):
                while connection.recv(65536):
                    pass


async def called(peer: Peer, *, pause: bool, answer_after: bool = False) -> tuple[Outcome, float]:
    """How a call ends, and after how many seconds; the peer answers while the loop stands, or just after."""
    async with opened(HttpProvider(HttpConfig(origins=(peer.url,)))) as provider:
        began = time.monotonic()
        call = asyncio.create_task(
            provider.invoke(call_of(Target("HTTP", f"{peer.url}/x"), timeout_ms=TIMEOUT_MS))
        )
        if pause:
            while not peer.arrived.is_set():
                await asyncio.sleep(0)
            if not answer_after:
                peer.paused.set()
            # On purpose not asyncio.sleep: the loop is to stand still, as in a stopped process.
            time.sleep(PAUSE_SECONDS)  # noqa: ASYNC251 - the pause is what is tested
            asyncio.get_running_loop().call_later(0.05, peer.paused.set)
        return await call, time.monotonic() - began


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(("at_once", "meanwhile"), [(b"", HEAD + BODY), (HEAD, BODY)], ids=["all", "body"])
def test_an_answer_that_came_while_the_process_stood_still_counts(
    run: Loop, at_once: bytes, meanwhile: bytes
) -> None:
    with Peer(at_once, meanwhile).running() as peer:
        outcome, _ = run(called(peer, pause=True))
    assert (outcome.ok, outcome.output) == (True, True)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_answer_that_comes_right_after_the_pause_counts_as_well(run: Loop) -> None:
    with Peer(b"", HEAD + BODY).running() as peer:
        outcome, _ = run(called(peer, pause=True, answer_after=True))
    assert (outcome.ok, outcome.output) == (True, True)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_server_that_stays_silent_over_a_pause_times_out_after_it(run: Loop) -> None:
    with Peer(b"", b"").running() as peer:
        outcome, seconds = run(called(peer, pause=True))
    assert (outcome.executed, outcome.signal) == (Executed.MAYBE, "read-timeout")
    assert seconds >= PAUSE_SECONDS


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_silent_server_times_out_at_its_time(run: Loop) -> None:
    with Peer(b"", b"").running() as peer:
        outcome, seconds = run(called(peer, pause=False))
    assert (outcome.executed, outcome.signal) == (Executed.MAYBE, "read-timeout")
    assert TIMEOUT_MS / 1000 - 0.01 <= seconds < 2


async def test_an_answer_whose_body_stays_away_did_run() -> None:
    with Peer(HEAD, b"").running() as peer:
        outcome, _ = await called(peer, pause=False)
    assert (outcome.executed, outcome.signal) == (Executed.YES, "response-late")


async def test_a_callers_cancellation_stays_one() -> None:
    entered = asyncio.Event()

    async def patient() -> None:
        async with Patience(60):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(patient())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_block_that_ends_in_time_leaves_nothing_behind() -> None:
    async with Patience(0.01):
        pass
    async with asyncio.timeout(5):
        end = asyncio.get_running_loop().time() + 0.05
        while asyncio.get_running_loop().time() < end:  # a timer left behind would end this task
            await asyncio.sleep(0)
