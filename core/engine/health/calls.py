"""Counts calls: when they are sent, when they become overdue, and how they end.

This is the hot path of every attempt: nothing in it grows with the number of calls or functions, but for a
breaker that is about to open.
"""

from collections import Counter, defaultdict, deque

from core.engine.health.asking import outcome_told
from core.engine.health.boardtime import BoardTime
from core.engine.health.budgets import Budgets
from core.engine.health.flights import BoardFlight
from core.engine.health.functions import FunctionWatch
from core.engine.health.judge import Judge
from core.engine.health.places import PlaceWatch
from core.engine.health.prober import Prober
from core.engine.health.queues import Queue
from core.engine.health.register import Register
from core.engine.health.reservations import Reservation, Reservations, release
from core.engine.health.standings import Standings
from core.engine.health.stats import Stats
from core.engine.health.tallies import CALLS, FAILURES, FAULTS, Tallies
from core.failover.evidence import Against, against
from core.failover.hanging import answered
from core.failover.health import place_of
from core.failover.outcome import Executed, Outcome
from core.failover.roles import HEDGE, RETRY
from core.graph.model import Target
from core.machine.events import AttemptStarted
from core.ports.clock import Clock

_NOBODY, _PROVIDER, _FUNCTION, _UNKNOWN = Against.NOBODY, Against.PROVIDER, Against.FUNCTION, Against.UNKNOWN
_YES = Executed.YES
"""Each call asks for several of them, and an enum is slow to find its members."""

STALL_MS = 500.0
"""A failure of a call that lived through so much standstill of this process proves nothing: its time limit
ran on, and whoever was at the other end may have given up.
"""

REFRESHED_AT_ONCE = 20
REFRESH_MS = 1_000
"""Quantiles are worked out anew for so many functions a tick, and once a second for each at most."""


class Calls:
    """`stats` by provider; `sidesteps` by both providers' names."""

    def __init__(
        self,
        clock: Clock,
        time: BoardTime,
        register: Register,
        judge: Judge,
        prober: Prober,
        standings: Standings,
        budgets: Budgets,
        queue: Queue,
        tallies: Tallies,
        stats: defaultdict[str, Stats],
    ) -> None:
        self._clock = clock
        self._time = time
        self._register = register
        self._judge = judge
        self._prober = prober
        self._standings = standings
        self._budgets = budgets
        self._queue = queue
        self._tallies = tallies
        self._reserved = Reservations()
        self._busy: dict[FunctionWatch, None] = {}
        self._unrefreshed: deque[FunctionWatch] = deque()
        self.stats = stats
        self.sidesteps: Counter[tuple[str, str]] = Counter()

    def decided(self, started: AttemptStarted) -> None:
        """Take what the attempt needs beyond a plain call of the primary."""
        now = self._clock.now_ms()
        if started.role == RETRY:
            if self._budgets.retried(started.target.provider, now):
                self._standings.provider(started.target.provider)
            return
        if started.role == HEDGE and self._budgets.hedged(now):
            self._standings.changed()
        self._reserved.hold(started, self._reservation(started, now))

    def sent(self, started: AttemptStarted) -> BoardFlight:
        """Count a call as it is sent."""
        board_ms = self._time.look()
        now = self._clock.now_ms()
        target = started.target
        reservation = self._reserved.take(started) if started.role else None
        function = self._register.functions.get(target)
        if function is None:
            function = self._register.function(target, now)
        place = self._register.place(place_of(target), now) if function is None else function.place
        flight = BoardFlight(
            self, target, place, function, reservation, started.timeout_ms, now, board_ms, self._time.lost_ms
        )
        if place is not None:
            place.window.sent(now)
            place.called_at = now
            place.last_target = target
        if function is not None:
            function.window.sent(now)
            function.called_at = now
            function.flights[flight] = None
            if not function.in_flight:
                self._busy[function] = None
            function.in_flight += 1
            self._tallies.add(function, now, CALLS)
        stats = self.stats[target.provider]
        stats.sent += 1
        if started.role:
            stats.roles[started.role] += 1
        else:
            self._budgets.called(target.provider)
        return flight

    def end(self, flight: BoardFlight, outcome: Outcome, duration_ms: float) -> None:
        """Count how a call ended."""
        board_ms = self._time.look()
        now = self._clock.now_ms()
        function, place = flight.function, flight.place
        proof = _NOBODY if outcome.ok else against(outcome)
        answered, given_up = proof is _NOBODY, False
        if not answered:
            late = function is not None and flight in function.late
            given_up = proof is _UNKNOWN and not late
            if proof is _PROVIDER and self._time.lost_ms - flight.lost_ms >= STALL_MS:
                proof = _UNKNOWN
        stats = self.stats[flight.target.provider]
        stats.end(now, flight.target, outcome, duration_ms, given_up=given_up)
        awake_ms = board_ms - flight.sent_board_ms
        awake_ms = min(awake_ms, duration_ms)
        ran = answered and outcome.executed is _YES
        if ran:
            stats.latency.add(awake_ms, now)
        if function is not None:
            self._end_at_function(flight, function, proof)
            if ran:
                if not function.unrefreshed:
                    self._unrefreshed.append(function)
                function.answered(awake_ms, now)
        if place is not None:
            self._end_at_place(flight, place, proof, now)
        if flight.reservation is not None:
            self._prober.settle(flight.reservation, proof, outcome_told(outcome), now)
        if not answered or flight.reservation is not None:
            self._give_room(flight, proof, now)
        if proof is _PROVIDER or proof is _FUNCTION:
            if function is not None:
                self._judge.function(function, now)
            if place is not None:
                self._judge.place(place, now)

    def tick(self, now: int) -> None:
        """Find what is overdue; refresh what decisions are shown of durations and budgets."""
        board_ms = self._time.look()
        for function in self._busy:
            for flight in function.newly_overdue(board_ms):
                self._overdue(flight, function, now)
        for _ in range(min(REFRESHED_AT_ONCE, len(self._unrefreshed))):
            function = self._unrefreshed.popleft()
            if now - function.refreshed_at < REFRESH_MS:
                self._unrefreshed.append(function)
            elif function.refresh(now):
                self._standings.function(function)
        retries, hedges = self._budgets.tick(now)
        for provider in retries:
            self._standings.provider(provider)
        if hedges:
            self._standings.changed()

    def sweep(self, now: int) -> None:
        """Give back what decided attempts hold that were never sent."""
        for reservation in self._reserved.stale(self._clock.monotonic()):
            self._prober.settle(reservation, None, "", now)
            release(reservation)
            if reservation.function is not None:
                self._freed(reservation.function, 1)

    def _reservation(self, started: AttemptStarted, now: int) -> Reservation:
        function = self._register.function(started.target, now)
        place = self._register.place(place_of(started.target), now)
        reservation = Reservation(
            started.role, function, place, self._clock.monotonic(), started.timeout_ms / 1000
        )
        if reservation.probe:
            self._prober.take(reservation)
        if function is not None:
            if reservation.roomed and function.limit is None:
                function.limit = function.first_limit()
            self._standings.function(function)
        return reservation

    def _end_at_function(self, flight: BoardFlight, function: FunctionWatch, proof: Against) -> None:
        function.in_flight -= 1
        if not function.in_flight:
            self._busy.pop(function, None)
        sent_ms = flight.sent_ms
        if not function.late or flight not in function.late:
            function.flights.pop(flight, None)
        else:
            del function.late[flight]
            self._not_overdue(function, sent_ms)
            if proof is Against.UNKNOWN:
                # It was given up for hanging: that is what it proved.
                proof = Against.PROVIDER
        if proof is _NOBODY:
            function.streak.succeeded(sent_ms)
            function.provider_streak.succeeded(sent_ms)
            if function.late:
                for forgiven in function.forgive(sent_ms):
                    self._not_overdue(function, forgiven.sent_ms)
            return
        match proof:
            case Against.PROVIDER:
                function.window.ended(sent_ms, proof)
                function.streak.failed(sent_ms)
                function.provider_streak.failed(sent_ms)
                function.failed_at = max(function.failed_at, sent_ms)
                self._tallies.add(function, sent_ms, FAILURES)
                self._judge.unsettled[function] = None
            case Against.FUNCTION:
                function.window.ended(sent_ms, proof)
                function.streak.failed(sent_ms)
                function.provider_streak.succeeded(sent_ms)
                self._tallies.add(function, sent_ms, FAULTS)
                self._judge.unsettled[function] = None
            case _:
                function.window.ended(sent_ms, proof)
                self._tallies.add(function, sent_ms, CALLS, -1)

    def _end_at_place(self, flight: BoardFlight, place: PlaceWatch, proof: Against, now: int) -> None:
        sent_ms = flight.sent_ms
        if proof is _PROVIDER:
            if not place.streak.length:
                place.failing_since = sent_ms
            place.window.ended(sent_ms, proof)
            place.streak.failed(sent_ms)
            self._judge.unsettled[place] = None
        elif proof is _UNKNOWN:
            place.window.ended(sent_ms, proof)
        else:
            place.streak.succeeded(sent_ms)
            place.probe_failed_at = None
            place.hang = answered(self._time.now_ms)
            self._judge.answered(sent_ms, now)

    def _overdue(self, flight: BoardFlight, function: FunctionWatch, now: int) -> None:
        sent_ms = flight.sent_ms
        newest = function.streak.newest_success
        if sent_ms < function.forgotten or (newest is not None and sent_ms <= newest):
            return
        place = function.place
        if not place.streak.length and not place.late:
            place.failing_since = sent_ms
        function.late[flight] = None
        function.overdue.sent(sent_ms)
        place.overdue.sent(sent_ms)
        place.late[function] = None
        self._judge.unsettled[function] = None
        self._judge.unsettled[place] = None
        if flight.reservation is not None:
            self._prober.settle(flight.reservation, Against.PROVIDER, "it is overdue", now)

    def _not_overdue(self, function: FunctionWatch, sent_ms: int) -> None:
        function.overdue.uncount(sent_ms)
        function.place.overdue.uncount(sent_ms)
        if not function.late:
            function.place.late.pop(function, None)

    def _give_room(self, flight: BoardFlight, proof: Against, now: int) -> None:
        function, reservation = flight.function, flight.reservation
        if function is None:
            return
        roomed = reservation is not None and reservation.roomed
        static = reservation is not None and reservation.static
        if not (roomed or static or proof is Against.SATURATION):
            return
        before = function.room() if roomed else function.static_room()
        function.learn_room(proof, now, sidestepped=roomed, static=static)
        if reservation is not None:
            release(reservation)
        after = function.room() if roomed else function.static_room()
        self._standings.function(function)
        if after and (roomed or static):
            self._freed(function, max(1, after - before))

    def _freed(self, function: FunctionWatch, places: int) -> None:
        self._standings.function(function)
        self._queue.freed(function.target, places, self._time.now_ms)

    def sidestepped(self, left: Target, taken: Target) -> None:
        """A step went from one target to another."""
        self.sidesteps[left.provider, taken.provider] += 1
