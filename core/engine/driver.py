"""Driving one execution under one claim: load, evolve, decide, append, perform.

The order is the promise. Events are durable before their commands are performed; an attempt that was open
when the claim was taken is first journaled as interrupted; nothing is sent once the lease has run out. A
crash at any point leaves a journal from which the next owner goes on by this same path.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar, assert_never

from core.data.flow import Answer as Evaluated
from core.data.flow import Request
from core.engine.attempts import Attempts
from core.engine.births import summarise
from core.engine.complaints import Complaints
from core.engine.definitions import Definitions
from core.engine.endings import RESTING, Endings
from core.engine.evaluating import evaluated
from core.engine.facts import Answer, fits, in_time, left_by_former_owner, size_of
from core.engine.inbox import heard, portion
from core.engine.posting import Post, Told
from core.engine.recovery import rebuild
from core.engine.settings import EngineSettings
from core.engine.waiting import WaitingRoom
from core.errors import NotOwner, SidestepError, StoreFull, StoreUnavailable
from core.graph.model import Target, TaskStep
from core.machine import events as ev
from core.machine import snapshot
from core.machine.decide import Abort, Command, Decision, Poll, Rules, Tell, decide
from core.machine.evolve import evolve
from core.machine.journal import Envelope, encode
from core.machine.run import Asked
from core.machine.state import State
from core.machine.tasks import Send
from core.ports.clock import Clock
from core.ports.evaluator import Evaluator
from core.ports.health import HealthBoard
from core.ports.store import Batch, Claim, Commit, Committed, Loaded, Message, Snapshot, Store

log = logging.getLogger("sidestep.engine")

_RING = object()
"""What stands in a driver's mailbox for a ring of the doorbell."""

_TICK = object()
"""What stands there for a time that has come."""

T = TypeVar("T")

FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 5.0

LONGEST_STEP = 1.0
"""Seconds of evaluating after which what was decided is written down, and news is heard."""

TOLD_AT_ONCE = 32
"""Messages to other executions that one execution has under way."""


def chance() -> int:
    """64 random bits: what chance is for one decision."""
    return secrets.randbits(64)


class LeaseLost(Exception):
    """The claim is over: stop, and send nothing more."""


class Driver:
    """Drives one claimed execution until it ends, waits, is parked, or is lost."""

    def __init__(
        self,
        claim: Claim,
        owner: str,
        store: Store,
        definitions: Definitions,
        attempts: Attempts,
        post: Post,
        board: HealthBoard,
        clock: Clock,
        settings: EngineSettings,
        complaints: Complaints,
        waiting: WaitingRoom,
        loaded: Loaded | None = None,
        evaluator: Evaluator | None = None,
        entropy: Callable[[], int] = chance,
        endings: Endings | None = None,
    ) -> None:
        self.claim = claim
        self._endings = endings or Endings()
        self._entropy = entropy
        self._complaints = complaints
        self._waiting = waiting
        self._evaluator = evaluator
        self._seated = False
        self._loaded = loaded
        self.draining = False
        self.releasing = False
        self._owner = owner
        self._store = store
        self._definitions = definitions
        self._attempts = attempts
        self._post = post
        self._board = board
        self._clock = clock
        self._lease = settings.lease
        self._rules = Rules(
            skew_ms=settings.skew_ms,
            data_budget=settings.data_budget,
            data_limit=settings.data_limit,
            secret=attempts.secret,
        )
        self._mailbox: asyncio.Queue[object] = asyncio.Queue()
        self._calls: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(TOLD_AT_ONCE)
        self._polling: set[tuple[str, int]] = set()
        self._sent: dict[tuple[str, int], int] = {}
        self._wanted: Mapping[Asked, Request] = {}
        self._commits = 0
        self._snapshot_at = 0

    def ring(self) -> None:
        """Something is in the inbox, or the engine wants attention."""
        self._mailbox.put_nowait(_RING)

    def look(self) -> None:
        """A target stands worse: calls under way may be given up."""
        if self._calls:
            self._mailbox.put_nowait(_TICK)

    async def run(self) -> None:
        """Returns when the claim was released. Raises LeaseLost, and what is broken."""
        try:
            await self._drive()
        finally:
            self._stand_up()
            under_way = (*self._calls.values(), *self._telling.values())
            for one in under_way:
                one.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _drive(self) -> None:
        execution_id = self.claim.execution_id
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            loaded = await self._persist(lambda: self._store.load(execution_id))
        state = await self._persist(lambda: rebuild(self._store, execution_id, loaded, self._definitions))
        self._snapshot_at = state.version
        facts: Sequence[ev.AnyEvent | Answer | Told] = left_by_former_owner(state, self._clock.now_ms())
        messages = loaded.inbox
        while True:
            await self._hold_lease()
            messages = portion(messages, self._rules.data_budget)
            state, events, commands, wake_at, queued = await self._step(state, facts, messages)
            # Also what has ended is kept until everybody who has to know of it was told.
            idle = state.in_flight == 0 and not state.outbox and not self._asking(commands)
            idle = idle and not self._wanted
            if idle and queued:
                # A turn may come at any moment, so it is kept in hand, unless too many are, or this worker is
                # cut off: for another one there is no wait.
                self._seated = not self._board.cut_off() and self._waiting.enter()
                idle = not self._seated
                if idle:
                    ask_again = self._waiting.ask_again_at(self._clock.now_ms())
                    wake_at = min(ask_again, wake_at or ask_again)
            self.releasing = idle
            committed = await self._commit(state, events, messages, idle, wake_at)
            for event in events:
                self._tell_board(event, state)
            if state.status in RESTING and committed is not None and not committed.inbox:
                self._endings.rest(execution_id, state)
            if committed is not None and committed.released:
                await self._keep_snapshot(state)
                return
            self.releasing = False
            if commands:
                # The commit may have taken long: an owner that nobody succeeded is the owner still.
                await self._hold_lease()
            for command in commands:
                self._perform(command)
            await self._keep_snapshot(state)
            messages = ()
            if self._wanted:
                # It goes on at once, with what has come in meanwhile.
                self._mailbox.put_nowait(_TICK)
            if committed is None or not committed.inbox:
                facts, rung = await self._await_news(None if self.draining else wake_at, queued)
            else:
                facts, rung = [], True
            self._stand_up()
            if rung:
                messages = await self._persist(lambda: self._store.inbox(execution_id))

    def _stand_up(self) -> None:
        if self._seated:
            self._seated = False
            self._waiting.leave()

    async def _hold_lease(self) -> None:
        """Renew a lease that is about to lapse, or lapsed while this process was stopped.

        It comes before the decision, so that no attempt is journaled that could then not be sent.
        """
        if self.claim.lease_until - self._clock.monotonic() > self._lease / 5:
            return
        renewed = await self._persist(lambda: self._store.renew((self.claim,), self._lease))
        if not renewed.claims:
            raise LeaseLost(self.claim.execution_id)
        self.claim = renewed.claims[0]

    async def _step(
        self, state: State, facts: Sequence[ev.AnyEvent | Answer | Told], messages: tuple[Message, ...]
    ) -> tuple[State, list[ev.AnyEvent], tuple[Command, ...], int | None, tuple[Target, ...]]:
        """Fold what has come in, then decide, and tell the board at once what that takes of its budgets.

        What a decision wants to have evaluated first is asked for, and the decision goes on with the answers.
        But a call that was decided does not wait for the expressions of other steps, whose time is not its
        own, nor a cancel for a long line of them: then the rest is evaluated in the next turn, before
        anything is folded. A draining driver starts nothing new.
        """
        events: list[ev.AnyEvent] = []
        began = self._clock.monotonic()
        answers: dict[Asked, Evaluated] = {}
        if self._wanted:
            answers |= await evaluated(self._evaluator, self._wanted, state.workflow_id)
            self._wanted = {}
        now = self._clock.now_ms()
        for news in self._unwrapped(facts):
            fact = in_time(state, news, now) if isinstance(news, Answer) else news
            if fits(state, fact):
                state = evolve(state, fact)
                events.append(fact)
        for message in messages:
            for fact in heard(state, message, now):
                state = evolve(state, fact)
                events.append(fact)
        commands: list[Command] = []
        while True:
            decision: Decision = decide(
                state,
                now,
                self._board.view(),
                self._entropy(),
                self._rules,
                sent=self._sent,
                stopping=self.draining,
                answers=answers,
            )
            for command in decision.commands:
                if isinstance(command, Send):
                    self._board.decided(command.started)
            events += decision.events
            commands += decision.commands
            state = decision.state
            calls = any(isinstance(command, Send) for command in commands)
            if calls or (answers and self._clock.monotonic() - began > LONGEST_STEP):
                self._wanted = decision.wanted
            if not decision.wanted or self._wanted:
                return state, events, tuple(commands), decision.wake_at, decision.queued
            answers |= await evaluated(self._evaluator, decision.wanted, state.workflow_id)
            now = self._clock.now_ms()

    def _unwrapped(self, facts: Sequence[ev.AnyEvent | Answer | Told]) -> Iterator[ev.AnyEvent | Answer]:
        """What came in, with one event for all that was delivered."""
        delivered = []
        for news in facts:
            if not isinstance(news, Told):
                yield news
                continue
            self._telling.pop(news.name, None)
            delivered.append(news.name)
            if news.refused is not None:
                yield news.refused
        if delivered:
            yield ev.MessagesSent(names=delivered)

    def _tell_board(self, event: ev.AnyEvent, state: State) -> None:
        """What the journal now says of targets, for the counts that people see."""
        match event:
            case ev.FailedOver():
                self._board.sidestepped(event.from_target, event.to_target)
            case ev.StepParked():
                step, visit = state.workflow.steps[event.step_id], state.visits.get(event.visit)
                if isinstance(step, TaskStep) and visit is not None:
                    self._board.parked(step.targets[visit.target])
            case _:
                pass

    async def _commit(
        self,
        state: State,
        events: list[ev.AnyEvent],
        messages: tuple[Message, ...],
        release: bool,
        wake_at: int | None,
    ) -> Committed | None:
        """Append, durably. None where there was nothing to say."""
        if not events and not messages and not release:
            return None
        self._commits += 1
        commit_id = f"{self.claim.epoch}.{self._commits}"
        now = self._clock.now_ms()
        before = state.version - len(events)
        envelope = Envelope(
            seq=before + 1,
            at=now,
            epoch=self.claim.epoch,
            actor=self._owner,
            commit=commit_id,
            events=tuple(events),
        )
        commit = Commit(
            execution_id=self.claim.execution_id,
            version=before,
            epoch=self.claim.epoch,
            # Qualified: a host that forgot a claim in a failover may hand its epoch out a second time.
            commit_id=f"{self._owner}.{commit_id}",
            at_ms=now,
            batch=Batch(data=encode(envelope) if events else b"", count=len(events)),
            summary=summarise(state),
            consumed=tuple(message.message_id for message in messages),
            release=release,
            wake_at_ms=wake_at,
        )
        return await self._persist(lambda: self._store.commit(commit))

    async def _keep_snapshot(self, state: State) -> None:
        """Best effort: losing a snapshot changes nothing, and so must failing to keep one."""
        if state.version - self._snapshot_at < snapshot.EVERY:
            return
        self._snapshot_at = state.version
        try:
            kept = Snapshot(version=state.version, format=snapshot.FORMAT, data=snapshot.dump(state))
            await self._store.save_snapshot(self.claim.execution_id, kept)
        except SidestepError as error:
            log.warning("no snapshot of execution %s was kept: %s", self.claim.execution_id, error)

    def _perform(self, command: Command) -> None:
        match command:
            case Send():
                if self.claim.lease_until <= self._clock.monotonic():
                    raise LeaseLost(self.claim.execution_id)
                key = (command.started.visit, command.started.attempt)
                self._sent[key] = self._clock.now_ms()
                self._calls[key] = asyncio.create_task(self._call(key, command))
            case Abort():
                self._sent.pop((command.visit, command.attempt), None)
                self._polling.discard((command.visit, command.attempt))
                call = self._calls.pop((command.visit, command.attempt), None)
                if call is not None:
                    call.cancel()
            case Tell():
                if command.name not in self._telling:
                    self._telling[command.name] = asyncio.create_task(self._tell(command))
            case Poll():
                key = (command.visit, command.attempt)
                if key not in self._calls:
                    self._sent[key] = self._clock.now_ms()
                    self._polling.add(key)
                    self._calls[key] = asyncio.create_task(self._poll(key, command))
            case _:
                assert_never(command)

    async def _call(self, key: tuple[str, int], send: Send) -> None:
        fact = await self._attempts.send(self.claim.execution_id, send)
        self._calls.pop(key, None)
        self._sent.pop(key, None)
        self._mailbox.put_nowait(Answer(fact, self._clock.now_ms()))

    async def _tell(self, command: Tell) -> None:
        try:
            async with self._at_once:
                told: object = await self._persist(lambda: self._post.send(command))
        except Exception as broken:  # noqa: BLE001 - whoever drives the execution raises it
            told = broken
        self._mailbox.put_nowait(told)

    async def _poll(self, key: tuple[str, int], poll: Poll) -> None:
        fact = await self._attempts.poll(poll)
        self._calls.pop(key, None)
        self._sent.pop(key, None)
        self._polling.discard(key)
        self._mailbox.put_nowait(Answer(fact, self._clock.now_ms()))

    def _asking(self, commands: Sequence[Command]) -> bool:
        """Whether the result of an accepted call is being asked for, or is about to be."""
        return bool(self._polling) or any(isinstance(command, Poll) for command in commands)

    async def _await_news(
        self, wake_at: int | None, queued: tuple[Target, ...]
    ) -> tuple[list[Answer | Told], bool]:
        """Wait for an answer, a delivery, a ring, the time to wake or room at one of `queued`; returns what
        came, and whether the bell rang.
        """
        timer = None if wake_at is None else asyncio.create_task(self._tick(wake_at))
        leave = self._board.queue(queued, self._room) if queued else None
        try:
            news = [await self._mailbox.get()]
        finally:
            if timer is not None:
                timer.cancel()
            if leave is not None:
                leave()
        # One commit takes what the budget allows, and the answer that passes it: many large outputs that come
        # at once must not make a commit that no store can hold.
        size = sum(map(size_of, news))
        while size <= self._rules.data_budget and not self._mailbox.empty():
            news.append(self._mailbox.get_nowait())
            size += size_of(news[-1])
        for one in news:
            if isinstance(one, Exception):
                raise one
        return [one for one in news if isinstance(one, Answer | Told)], any(one is _RING for one in news)

    def _room(self) -> None:
        self._mailbox.put_nowait(_TICK)

    async def _tick(self, wake_at: int) -> None:
        await self._clock.sleep((wake_at - self._clock.now_ms()) / 1000)
        self._mailbox.put_nowait(_TICK)

    async def _persist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Try until the store answers: a store that is away is no failure of a step."""
        backoff = FIRST_BACKOFF
        while True:
            try:
                return await act()
            except NotOwner as error:
                raise LeaseLost(self.claim.execution_id) from error
            except StoreUnavailable as error:
                why = "full" if isinstance(error, StoreFull) else "away"
                self._complaints.say(f"the store is {why}; what an execution waits for is tried again", error)
                await self._clock.sleep(backoff)
                backoff = min(LONGEST_BACKOFF, backoff * 2)
