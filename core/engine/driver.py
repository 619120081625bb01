"""Driving one execution under one claim: load, evolve, decide, append, perform.

The order is the promise. Events are durable before their commands are performed; an attempt that was open
when the claim was taken is first journaled as interrupted; nothing is sent once the lease has run out. A
crash at any point leaves a journal from which the next owner goes on by this same path.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar, TypeVarTuple, assert_never

from core.data.flow import Answer as Evaluated
from core.data.flow import Request
from core.engine.births import summarise
from core.engine.endings import RESTING, Account, Rested
from core.engine.evaluating import evaluated
from core.engine.facts import Answer, fits, in_time, left_by_former_owner
from core.engine.inbox import heard, portion
from core.engine.mailbox import Mailbox
from core.engine.means import Means
from core.engine.posting import Told
from core.engine.recovery import rebuild
from core.errors import NotOwner, SidestepError, StoreFull, StoreUnavailable
from core.graph.model import Target, TaskStep
from core.machine import events as ev
from core.machine import snapshot
from core.machine.decide import Abort, Command, Poll, Tell, decide
from core.machine.evolve import evolve
from core.machine.journal import Envelope, decode, encode
from core.machine.paths import trace_of
from core.machine.run import Asked
from core.machine.state import State
from core.machine.tasks import Send
from core.ports.store import Batch, Claim, Commit, Committed, Loaded, Message, Snapshot

log = logging.getLogger("sidestep.engine")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Facts = Sequence[ev.AnyEvent | Answer | Told]

FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 5.0

LONGEST_STEP = 1.0
"""Seconds of evaluating after which what was decided is written down, and news is heard."""

TOLD_AT_ONCE = 32
"""Messages to other executions that one execution has under way."""


class LeaseLost(Exception):
    """The claim is over: stop, and send nothing more."""


class Driver:
    """Drives one claimed execution until it ends, waits, is parked, or is lost."""

    __slots__ = (
        "_account",
        "_alarm",
        "_alarm_at",
        "_at_once",
        "_calls",
        "_commits",
        "_loaded",
        "_mailbox",
        "_means",
        "_polling",
        "_seated",
        "_sent",
        "_snapshot_at",
        "_telling",
        "_trace",
        "_wake_at",
        "_wanted",
        "claim",
        "draining",
        "releasing",
    )

    def __init__(self, claim: Claim, means: Means, loaded: Loaded | None = None) -> None:
        self.claim = claim
        self.draining = False
        self.releasing = False
        self._means = means
        self._loaded = loaded
        self._account: Account | None = None
        self._seated = False
        self._mailbox = Mailbox()
        self._calls: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._sent: dict[tuple[str, int], int] = {}
        self._polling: set[tuple[str, int]] = set()
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._at_once: asyncio.Semaphore | None = None
        self._wanted: Mapping[Asked, Request] = {}
        self._trace = ""
        self._commits = 0
        self._snapshot_at = 0
        self._alarm: Callable[[], None] | None = None
        self._alarm_at = 0
        self._wake_at: int | None = None

    def ring(self) -> None:
        """Something is in the inbox, or the engine wants attention."""
        self._mailbox.ring()

    def look(self) -> None:
        """A target stands worse: calls under way may be given up."""
        if self._calls:
            self._mailbox.wake()

    async def run(self) -> None:
        """Returns when the claim was released. Raises LeaseLost, and what is broken."""
        try:
            await self._drive()
        finally:
            self._stand_up()
            if self._alarm is not None:
                self._alarm()
            under_way = (*self._calls.values(), *self._telling.values())
            if under_way:
                for one in under_way:
                    one.cancel()
                await asyncio.gather(*under_way, return_exceptions=True)

    async def _drive(self) -> None:
        means = self._means
        execution_id = self.claim.execution_id
        state, messages = await self._begin()
        facts: Facts = left_by_former_owner(state, means.clock.now_ms())
        while True:
            if self._lapses():
                await self._renew()
            if messages:
                messages = portion(messages, means.rules.data_budget)
            state, events, commands, wake_at, queued = await self._step(state, facts, messages)
            # Also what has ended is kept until everybody who has to know of it was told.
            idle = state.in_flight == 0 and not state.outbox and not self._asking(commands)
            idle = idle and not self._wanted
            if idle and queued:
                # A turn may come at any moment, so it is kept in hand, unless too many are, or this worker is
                # cut off: for another one there is no wait.
                self._seated = not means.board.cut_off() and means.waiting.enter()
                idle = not self._seated
                if idle:
                    ask_again = means.waiting.ask_again_at(means.clock.now_ms())
                    wake_at = min(ask_again, wake_at or ask_again)
            self.releasing = idle
            committed = None
            if events or messages or idle:
                committed = await self._commit(state, events, messages, idle, wake_at)
            for event in events:
                if isinstance(event, ev.FailedOver | ev.StepParked):
                    self._tell_board(event, state)
            if state.status in RESTING and committed is not None and not committed.inbox:
                means.endings.rest(execution_id, Rested(state, self._told()))
            if committed is not None and committed.released:
                await self._keep_snapshot(state)
                return
            self.releasing = False
            if commands:
                # The commit may have taken long: an owner that nobody succeeded is the owner still.
                if self._lapses():
                    await self._renew()
                for command in commands:
                    self._perform(command)
            await self._keep_snapshot(state)
            # What was sent and kept does not stay in memory for as long as the execution waits.
            events, commands, messages, facts = [], (), (), ()
            if self._wanted:
                # It goes on at once, with what has come in meanwhile.
                self._mailbox.wake()
            if committed is None or not committed.inbox:
                await self._await_news(None if self.draining else wake_at, queued)
                facts, rung = self._mailbox.take(means.rules.data_budget)
            else:
                rung = True
            self._stand_up()
            if rung:
                messages = await self._persist(means.store.inbox, execution_id)

    async def _begin(self) -> tuple[State, tuple[Message, ...]]:
        """The state, and what is in the inbox."""
        means = self._means
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            loaded = await self._persist(means.store.load, self.claim.execution_id)
        envelopes = None
        if loaded.snapshot is None and means.endings.awaited(self.claim.execution_id):
            self._account = Account()
            envelopes = [decode(batch) for batch in loaded.batches]
            for envelope, batch in zip(envelopes, loaded.batches, strict=True):
                self._account.add(envelope, len(batch))
        state = await self._persist(
            rebuild, means.store, self.claim.execution_id, loaded, means.definitions, envelopes
        )
        self._snapshot_at = state.version
        return state, loaded.inbox

    def _told(self) -> tuple[Envelope, ...] | None:
        """The journal, where all of it is at hand."""
        return None if self._account is None else self._account.whole()

    def _stand_up(self) -> None:
        if self._seated:
            self._seated = False
            self._means.waiting.leave()

    def _lapses(self) -> bool:
        """Whether the lease is about to lapse, or lapsed while this process was stopped.

        It is looked at before each decision, so that no attempt is journaled that could then not be sent.
        """
        return self.claim.lease_until - self._means.clock.monotonic() <= self._means.settings.lease / 5

    async def _renew(self) -> None:
        renewed = await self._persist(self._means.store.renew, (self.claim,), self._means.settings.lease)
        if not renewed.claims:
            raise LeaseLost(self.claim.execution_id)
        self.claim = renewed.claims[0]

    async def _step(
        self, state: State, facts: Facts, messages: tuple[Message, ...]
    ) -> tuple[State, list[ev.AnyEvent], tuple[Command, ...], int | None, tuple[Target, ...]]:
        """Fold what has come in, then decide, and tell the board at once what that takes of its budgets.

        What a decision wants to have evaluated first is asked for, and the decision goes on with the answers.
        But a call that was decided does not wait for the expressions of other steps, whose time is not its
        own, nor a cancel for a long line of them: then the rest is evaluated in the next turn, before
        anything is folded. A draining driver starts nothing new.
        """
        means = self._means
        events: list[ev.AnyEvent] = []
        answers: dict[Asked, Evaluated] = {}
        began: float | None = None
        if self._wanted:
            began = means.clock.monotonic()
            answers |= await evaluated(means.evaluator, self._wanted, state.workflow_id)
            self._wanted = {}
        now = means.clock.now_ms()
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
            decision = decide(
                state,
                now,
                means.board.view(),
                means.entropy(),
                means.rules,
                sent=self._sent,
                stopping=self.draining,
                answers=answers,
            )
            calls = False
            for command in decision.commands:
                if isinstance(command, Send):
                    means.board.decided(command.started)
                    calls = True
            events += decision.events
            commands += decision.commands
            state = decision.state
            if not decision.wanted:
                return state, events, tuple(commands), decision.wake_at, decision.queued
            if began is None:
                began = means.clock.monotonic()
            if calls or (answers and means.clock.monotonic() - began > LONGEST_STEP):
                self._wanted = decision.wanted
                return state, events, tuple(commands), decision.wake_at, decision.queued
            answers |= await evaluated(means.evaluator, decision.wanted, state.workflow_id)
            now = means.clock.now_ms()

    def _unwrapped(self, facts: Facts) -> Iterator[ev.AnyEvent | Answer]:
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

    def _tell_board(self, event: ev.FailedOver | ev.StepParked, state: State) -> None:
        """What the journal now says of targets, for the counts that people see."""
        board = self._means.board
        if isinstance(event, ev.FailedOver):
            board.sidestepped(event.from_target, event.to_target)
            return
        step, visit = state.workflow.steps[event.step_id], state.visits.get(event.visit)
        if isinstance(step, TaskStep) and visit is not None:
            board.parked(step.targets[visit.target])

    async def _commit(
        self,
        state: State,
        events: list[ev.AnyEvent],
        messages: tuple[Message, ...],
        release: bool,
        wake_at: int | None,
    ) -> Committed:
        """Append, durably."""
        means, claim = self._means, self.claim
        self._commits += 1
        commit_id = f"{claim.epoch}.{self._commits}"
        now = means.clock.now_ms()
        before = state.version - len(events)
        envelope = Envelope(
            seq=before + 1,
            at=now,
            epoch=claim.epoch,
            actor=means.owner,
            commit=commit_id,
            events=tuple(events),
        )
        commit = Commit(
            execution_id=claim.execution_id,
            version=before,
            epoch=claim.epoch,
            # Qualified: a host that forgot a claim in a failover may hand its epoch out a second time.
            commit_id=f"{means.owner}.{commit_id}",
            at_ms=now,
            batch=Batch(data=encode(envelope) if events else b"", count=len(events)),
            summary=summarise(state),
            consumed=tuple([message.message_id for message in messages]),
            release=release,
            wake_at_ms=wake_at,
        )
        committed = await self._persist(means.store.commit, commit)
        if self._account is not None:
            if not means.endings.awaited(claim.execution_id):
                self._account = None
            elif events:
                self._account.add(envelope, len(commit.batch.data))
        return committed

    async def _keep_snapshot(self, state: State) -> None:
        """Best effort: losing a snapshot changes nothing, and so must failing to keep one."""
        if state.version - self._snapshot_at < snapshot.EVERY:
            return
        self._snapshot_at = state.version
        try:
            kept = Snapshot(version=state.version, format=snapshot.FORMAT, data=snapshot.dump(state))
            await self._means.store.save_snapshot(self.claim.execution_id, kept)
        except SidestepError as error:
            log.warning("no snapshot of execution %s was kept: %s", self.claim.execution_id, error)

    def _perform(self, command: Command) -> None:
        match command:
            case Send():
                clock = self._means.clock
                if self.claim.lease_until <= clock.monotonic():
                    raise LeaseLost(self.claim.execution_id)
                key = (command.started.visit, command.started.attempt)
                self._sent[key] = clock.now_ms()
                self._calls[key] = asyncio.create_task(self._call(key, command))
            case Abort():
                self._sent.pop((command.visit, command.attempt), None)
                self._polling.discard((command.visit, command.attempt))
                call = self._calls.pop((command.visit, command.attempt), None)
                if call is not None:
                    call.cancel()
            case Tell():
                if command.name not in self._telling:
                    if self._at_once is None:
                        self._at_once = asyncio.Semaphore(TOLD_AT_ONCE)
                    self._telling[command.name] = asyncio.create_task(self._tell(self._at_once, command))
            case Poll():
                key = (command.visit, command.attempt)
                if key not in self._calls:
                    self._sent[key] = self._means.clock.now_ms()
                    self._polling.add(key)
                    self._calls[key] = asyncio.create_task(self._poll(key, command))
            case _:
                assert_never(command)

    async def _call(self, key: tuple[str, int], send: Send) -> None:
        execution_id = self.claim.execution_id
        if not self._trace:
            self._trace = trace_of(execution_id)
        fact = await self._means.attempts.send(execution_id, self._trace, send)
        self._calls.pop(key, None)
        self._sent.pop(key, None)
        self._mailbox.put(Answer(fact, self._means.clock.now_ms()))

    async def _tell(self, at_once: asyncio.Semaphore, command: Tell) -> None:
        try:
            async with at_once:
                told: Told | Exception = await self._persist(self._means.post.send, command)
        except Exception as broken:  # noqa: BLE001 - whoever drives the execution raises it
            told = broken
        self._mailbox.put(told)

    async def _poll(self, key: tuple[str, int], poll: Poll) -> None:
        fact = await self._means.attempts.poll(poll)
        self._calls.pop(key, None)
        self._sent.pop(key, None)
        self._polling.discard(key)
        self._mailbox.put(Answer(fact, self._means.clock.now_ms()))

    def _asking(self, commands: Sequence[Command]) -> bool:
        """Whether the result of an accepted call is being asked for, or is about to be."""
        return bool(self._polling) or any(isinstance(command, Poll) for command in commands)

    async def _await_news(self, wake_at: int | None, queued: tuple[Target, ...]) -> None:
        """Wait for an answer, a delivery, a ring, the time to wake or room at one of `queued`."""
        self._set_alarm(wake_at)
        leave = self._means.board.queue(queued, self._mailbox.wake) if queued else None
        try:
            await self._mailbox.wait()
        finally:
            self._wake_at = None
            if leave is not None:
                leave()

    def _set_alarm(self, wake_at: int | None) -> None:
        """Wake at this time. An alarm that is set already for an earlier one stays, and looks then."""
        self._wake_at = wake_at
        if self._alarm is not None:
            if wake_at is not None and self._alarm_at <= wake_at:
                return
            self._alarm()
            self._alarm = None
        if wake_at is not None:
            clock = self._means.clock
            self._alarm_at = wake_at
            self._alarm = clock.call_later((wake_at - clock.now_ms()) / 1000, self._time_came)

    def _time_came(self) -> None:
        self._alarm = None
        wake_at = self._wake_at
        if wake_at is None:
            return
        if wake_at <= self._alarm_at:
            self._mailbox.wake()
        else:
            self._set_alarm(wake_at)

    async def _persist(self, act: Callable[[*Ts], Awaitable[T]], *about: *Ts) -> T:
        """Try until the store answers: a store that is away is no failure of a step."""
        backoff = FIRST_BACKOFF
        while True:
            try:
                return await act(*about)
            except NotOwner as error:
                raise LeaseLost(self.claim.execution_id) from error
            except StoreUnavailable as error:
                why = "full" if isinstance(error, StoreFull) else "away"
                self._means.complaints.say(
                    f"the store is {why}; what an execution waits for is tried again", error
                )
                await self._means.clock.sleep(backoff)
                backoff = min(LONGEST_BACKOFF, backoff * 2)
