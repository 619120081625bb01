"""The outside world of a trial: a cloud that answers as it was told, and a board that knows of no outage."""

import asyncio
from typing import assert_never

from core.engine.trial.mocks import Error, Mocks, Output, Timeout
from core.failover.health import ALL_WELL, Health
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.graph.model import Target
from core.machine.events import AttemptStarted
from core.ports.clock import Clock
from core.ports.health import Flight, HealthBoard
from core.ports.provider import Call, Provider


class TrialBoard(HealthBoard):
    """Every target is well, whatever its calls prove: a trial is of the workflow, and not of its clouds.

    It is told of each attempt before that is sent, so it knows which step a call is of.
    """

    def __init__(self) -> None:
        self._steps: dict[str, str] = {}

    def step_of(self, key: str) -> str:
        """The step whose calls have this idempotency key."""
        return self._steps[key]

    def view(self) -> Health:
        """As the port says."""
        return ALL_WELL

    def cut_off(self) -> bool:
        """Never."""
        return False

    def decided(self, started: AttemptStarted) -> None:
        """As the port says."""
        self._steps[started.key] = started.step_id

    def sent(self, started: AttemptStarted) -> Flight:
        """As the port says."""
        self._steps[started.key] = started.step_id
        return _Flight()

    def sidestepped(self, left: Target, taken: Target) -> None:
        """As the port says."""

    def parked(self, target: Target) -> None:
        """As the port says."""

    def watch(self, ring: object) -> "_Never":  # noqa: ARG002 - nothing ever stands worse
        """As the port says."""
        return _Never()

    def queue(self, targets: tuple[Target, ...], ring: object) -> "_Never":  # noqa: ARG002 - there is room
        """As the port says."""
        return _Never()


class _Never:
    """Ends the wait for what does not come."""

    def __call__(self) -> None:
        """Nothing was begun."""


class _Flight(Flight):
    def ended(self, outcome: Outcome, duration_ms: float) -> None:
        """Nobody counts."""


class TrialCloud(Provider):
    """A provider, under the name of a real one, that answers each step's calls from its mocks.

    One without an answer never comes back: the trial ends, and says so.
    """

    def __init__(self, name: str, mocks: Mocks, board: TrialBoard, clock: Clock) -> None:
        self.name = name
        self._mocks = mocks
        self._board = board
        self._clock = clock

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    def check(self, target: Target) -> str | None:  # noqa: ARG002 - nothing is called
        """Every target can be called."""
        return None

    async def prepare(self, targets: tuple[Target, ...]) -> None:
        """Nothing to prepare."""

    async def invoke(self, call: Call) -> Outcome:
        """As the port says."""
        answer = self._mocks.take(self._board.step_of(call.idempotency_key))
        match answer:
            case None:
                await asyncio.get_running_loop().create_future()
                raise AssertionError("nothing answers a call without a mock")
            case Output():
                return succeeded(answer.value)
            case Error():
                return Outcome(
                    executed=Executed.YES,
                    scope=Scope.FUNCTION,
                    signal="function-error",
                    error=answer.error,
                    cause=answer.cause,
                )
            case Timeout() if call.awaits == "callback":
                # It takes the call on, and is not heard of again until a time limit or heartbeat is missed.
                return Outcome(executed=Executed.YES, ok=True, accepted=True)
            case Timeout():
                await self._clock.sleep(call.timeout_ms / 1000)
                return Outcome(
                    executed=Executed.MAYBE,
                    scope=Scope.PROVIDER,
                    signal="read-timeout",
                    error="Sidestep.Timeout",
                    cause="no answer in time; it may have run",
                )
            case _:
                assert_never(answer)

    async def poll(self, target: Target, location: str, timeout_ms: int) -> Outcome:  # noqa: ARG002 - see below
        """Nobody asks: what the mocks answer is the result."""
        return Outcome(executed=Executed.NO, scope=Scope.PROVIDER, signal="no-poll")

    async def probe(self, target: Target, timeout_ms: int) -> Outcome:  # noqa: ARG002 - nobody probes
        """As the port says."""
        return Outcome(executed=Executed.NO, ok=True)
