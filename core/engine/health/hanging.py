"""Asks a place whether it still answers, while a call hangs there of whose function little is known.

core.failover.hanging says when, and what the answers mean. Here are the probes: of the function whose call
hangs first, then of others of the place, for one address that is dark is no provider. Before the place is
opened the other providers are asked, too: with little traffic nothing else tells a dark provider from a
replica that is cut off.

Each replica asks for its own calls, without a permit: a probe runs nothing, and what a few replicas ask in
two seconds is no load.
"""

import asyncio
import logging
from itertools import islice

from core.engine.health.asking import Answer, Asking
from core.engine.health.boardtime import BoardTime
from core.engine.health.flights import BoardFlight
from core.engine.health.isolation import Isolation
from core.engine.health.judge import Judge
from core.engine.health.places import PlaceWatch
from core.engine.health.register import Register
from core.engine.health.watched import LETS_THROUGH
from core.failover.hanging import Hang, asked, due_at, next_probe_at, probed
from core.failover.settings import FailoverSettings
from core.graph.model import Target
from core.ports.clock import Clock

log = logging.getLogger("sidestep.health")

MOST_AT_ONCE = 32
"""Places of one replica that are asked at the same time."""

MOST_ASKED = 100
"""Functions of a place among which the next one to be probed is looked for."""

JUST_OPENED_MS = 30_000
"""A place that this replica opened so short ago is asked again before a second provider's is opened: what
sidestepped from the first needs so long to be found hanging at the second.
"""


class Hanging:
    """`tick` starts the probes that are due."""

    def __init__(
        self,
        clock: Clock,
        time: BoardTime,
        settings: FailoverSettings,
        register: Register,
        judge: Judge,
        isolation: Isolation,
        asking: Asking,
    ) -> None:
        self._clock = clock
        self._time = time
        self._settings = settings
        self._register = register
        self._judge = judge
        self._isolation = isolation
        self._asking = asking
        self._look_at: dict[PlaceWatch, float] = {}
        self._busy: dict[PlaceWatch, asyncio.Task[None]] = {}

    def tick(self) -> None:
        """Ask every place at which a call hangs, and that may be asked now."""
        if self._isolation.since is not None:
            return
        board_ms = self._time.now_ms
        for place in self._register.places.values():
            if board_ms >= self._look_at.get(place, 0.0) and self._may_ask(place, board_ms):
                flight = self._hanging(place, board_ms)
                if flight is not None:
                    self._start(place, flight, board_ms)

    def sweep(self) -> None:
        """Forget places that the register forgot."""
        known = set(self._register.places.values())
        for place in [place for place in self._look_at if place not in known]:
            del self._look_at[place]

    async def stop(self) -> None:
        """End the probes under way."""
        tasks = [*self._busy.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _may_ask(self, place: PlaceWatch, board_ms: float) -> bool:
        return (
            place.breaker.phase in LETS_THROUGH
            and place not in self._busy
            and len(self._busy) < MOST_AT_ONCE
            and board_ms >= next_probe_at(place.hang, self._settings)
        )

    def _hanging(self, place: PlaceWatch, board_ms: float) -> BoardFlight | None:
        """The oldest call that is reason to ask this place now; without one, when to look again."""
        found: BoardFlight | None = None
        # What is sent from now on is not due before this.
        first = board_ms + self._settings.hang_seconds * 1000
        for function in place.functions.values():
            limit = function.overdue_ms
            for flight in function.flights:
                if limit is not None and limit < flight.timeout_ms:
                    continue  # its own threshold will tell
                due = due_at(flight.sent_board_ms, place.hang, self._settings)
                if due > board_ms:
                    first = min(first, due)
                elif found is None or flight.sent_board_ms < found.sent_board_ms:
                    found = flight
        if found is None:
            # An answer only puts off what is due, so nothing is missed until then.
            self._look_at[place] = first
            place.hang = Hang(well_at=place.hang.well_at)
        return found

    def _start(self, place: PlaceWatch, flight: BoardFlight, board_ms: float) -> None:
        place.hang = asked(place.hang, board_ms)
        task = asyncio.create_task(self._guarded(place, flight))
        self._busy[place] = task
        task.add_done_callback(lambda _: self._busy.pop(place, None))

    async def _guarded(self, place: PlaceWatch, flight: BoardFlight) -> None:
        try:
            await self._ask(place, flight)
        except Exception:
            log.exception("a probe of a place where a call hangs came to nothing")

    async def _ask(self, place: PlaceWatch, flight: BoardFlight) -> None:
        sent_at = self._time.now_ms
        # The last probe before an opening: whether anybody else answers is asked at the same time.
        last = place.hang.failed + 1 >= self._settings.hang_probes
        rivals = self._rivals(place) if last else {}
        answer, *others = await asyncio.gather(
            self._asking.reach(place, self._target(place, flight)),
            *(self._asking.reach(rival, target) for rival, target in rivals.items()),
        )
        board_ms = self._time.now_ms
        # A probe that says nothing is no failure, and not made again at once.
        failed = answer is not None and not answer.ok
        place.hang = probed(place.hang, failed=failed, sent_at=sent_at, at=board_ms)
        if not last or not failed or self._isolation.since is not None:
            return
        if flight.function is not None and flight not in flight.function.flights:
            return
        if not (place.streak.length or place.late):
            place.failing_since = flight.sent_ms
        self._judge.hung(
            place,
            hung_ms=board_ms - flight.sent_board_ms,
            silent=_silent(dict(zip(rivals, others, strict=True))),
            now=self._clock.now_ms(),
        )

    def _target(self, place: PlaceWatch, flight: BoardFlight) -> Target:
        """What is probed now: another function each time, as long as there are others."""
        latest = sorted(islice(place.functions.values(), MOST_ASKED), key=lambda one: -one.called_at)
        others = [function.target for function in latest if function.target != flight.target]
        order = [flight.target, *others[: self._settings.hang_probes - 1]]
        return order[place.hang.failed % len(order)]

    def _rivals(self, place: PlaceWatch) -> dict[PlaceWatch, Target]:
        """Of every other provider the place that was called last, and what to probe there. One that has been
        refused for long is known to be dark, and says nothing of this replica.
        """
        now = self._clock.now_ms()
        found: dict[str, tuple[PlaceWatch, Target]] = {}
        for other in sorted(self._register.places.values(), key=lambda one: one.called_at):
            opened = other.opened_here
            fresh = opened is not None and now - opened <= JUST_OPENED_MS
            target = self._asking.target(other, other)
            if other.provider != place.provider and target and (fresh or other.breaker.phase in LETS_THROUGH):
                found[other.provider] = other, target
        return dict(found.values())


def _silent(answers: dict[PlaceWatch, Answer | None]) -> tuple[PlaceWatch, ...]:
    """The places that did not answer, if none did."""
    heard = [answer for answer in answers.values() if answer is not None]
    if any(answer.ok for answer in heard):
        return ()
    return tuple(place for place, answer in answers.items() if answer is not None)
