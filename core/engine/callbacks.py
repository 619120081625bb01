"""What is said to steps that wait: signals, and how accepted calls ended. And what an execution waits for.

A word is a message in the execution's inbox: durable when the call returns, and taken up by whoever drives
the execution. What the state shows to be too late is refused at once; what loses a race later is journaled
as REQUEST_IGNORED.
"""

import secrets
from typing import Any

import msgspec

from core.data.context import instant
from core.engine.definitions import Definitions
from core.engine.lifecycle import LifeCycle
from core.engine.site import Site, shared_site
from core.errors import CallbackNotFound, ExecutionEnded, ExecutionNotFound, NotPossible
from core.graph.model import Json, TaskStep, WaitStep
from core.machine.answerable import CALLBACK, SIGNAL, Said, callback_visit
from core.machine.state import State, Visit
from core.machine.tokens import verified
from core.machine.transitions import RUNNING, TERMINAL
from core.ports.clock import Clock
from core.ports.store import Message, Store

MAX_WAITS = 1_000
"""How many waits are shown."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback says: with `success` its `output`, with `failure` an `error` and its `cause`."""

    status: Said
    output: Json = None
    error: str = ""
    cause: str = ""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a word: False in `fresh` means that this message was taken before."""

    execution_id: str
    message_id: str
    fresh: bool
    visit: str = ""


class WaitView(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One thing that an execution waits for; `kind` is `signal`, `callback`, `poll` or `timer`.

    `until` is when its time is over (of a timer: when it ends well), `next_poll_at` when the result is asked
    for next. `callback_url` is a secret: whoever has it can say how the step ended.
    """

    visit: str
    step_id: str
    kind: str
    name: str | None = None
    callback_url: str | None = None
    since: str | None = None
    until: str | None = None
    next_poll_at: str | None = None


class Callbacks(LifeCycle):
    """The words. `secret` signs tokens; without one it is the store's, which all that share it use."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        clock: Clock,
        public_url: str,
        secret: bytes | None = None,
    ) -> None:
        super().__init__(store, definitions, clock)
        self._public_url = public_url
        self._secret = secret
        self._known: Site | None = None

    def reached_at(self, public_url: str) -> None:
        """The address of the API is known now: before anything is sent."""
        self._public_url, self._known = public_url, None

    async def site(self) -> Site:
        """Where callbacks come in, and the secret. Raises StoreUnavailable."""
        if self._known is None:
            self._known = await shared_site(self._store, self._public_url, self._secret)
        return self._known

    async def signal(
        self,
        execution_id: str,
        name: str,
        payload: Json = None,
        *,
        actor: str = "",
        key: str | None = None,
    ) -> Taken:
        """Send the signal `name` with `payload` (JSON): the first WAIT for it takes it, now or later.

        Under a `key` the same signal is taken once. Raises ExecutionNotFound, and ExecutionEnded where the
        status is terminal.
        """
        body: dict[str, Any] = {"name": name, "payload": payload}
        message_id = None if key is None else f"{SIGNAL}:{name}:{key}"
        return await self._say(execution_id, SIGNAL, body, actor, message_id)

    async def call_back(self, token: str, said: Word, *, actor: str = "", key: str | None = None) -> Taken:
        """Say how the visit of `token` ended, or that whoever works on it lives.

        Under a `key` the same is taken once for this visit, but for a heartbeat, of which each counts.
        Raises CallbackNotFound for a token that was not made here or of an execution that is gone, and
        ExecutionEnded or NotPossible where the visit takes no such word any more.
        """
        site = await self.site()
        named = verified(site.secret, token)
        if named is None:
            raise CallbackNotFound("no such token was made here")
        execution_id, visit = named
        try:
            state = await self._state(execution_id)
        except ExecutionNotFound:
            raise CallbackNotFound("the execution of this token is gone") from None
        # Whoever says all under one key must not have its later signs of life taken for the first.
        keyed = key is not None and said.status != "heartbeat"
        message_id = f"{CALLBACK}:{visit}:{said.status}:{key}" if keyed else None
        why = callback_visit(state, visit, said.status)
        if isinstance(why, str):
            if message_id is not None and await self._taken(execution_id, message_id):
                return Taken(execution_id=execution_id, message_id=message_id, fresh=False, visit=visit)
            raised = ExecutionEnded if state.status in TERMINAL else NotPossible
            raise raised(f"execution {execution_id} is {state.status}: {why}")
        body: dict[str, Any] = {"visit": visit, **msgspec.to_builtins(said)}
        taken = await self._say(execution_id, CALLBACK, body, actor, message_id)
        return msgspec.structs.replace(taken, visit=visit)

    async def waits(self, execution_id: str) -> list[WaitView]:
        """What the execution waits for, by visit, at most `MAX_WAITS`. Raises ExecutionNotFound."""
        state = await self._state(execution_id)
        if state.status in TERMINAL:
            return []
        site = await self.site()
        found: list[WaitView] = []
        for _, visit in sorted(state.visits.items()):
            seen = _wait_of(state, visit, site)
            if seen is not None:
                found.append(seen)
            if len(found) == MAX_WAITS:
                break
        return found

    async def _say(
        self, execution_id: str, kind: str, body: dict[str, Any], actor: str, message_id: str | None
    ) -> Taken:
        given = message_id or f"{kind}-{secrets.token_hex(8)}"
        message = Message(
            message_id=given, kind=kind, body=body, actor=actor, sent_at_ms=self._clock.now_ms()
        )
        try:
            fresh = await self._store.deliver(execution_id, message)
        except ExecutionEnded:
            status = (await self._store.get(execution_id)).summary.status
            raise ExecutionEnded(f"execution {execution_id} is {status}: it has ended") from None
        return Taken(execution_id=execution_id, message_id=given, fresh=fresh)


def _wait_of(state: State, visit: Visit, site: Site) -> WaitView | None:
    if visit.status != RUNNING:
        return None
    step = state.step_of(visit)
    if isinstance(step, WaitStep):
        view = WaitView(
            visit=visit.path,
            step_id=visit.step_id,
            kind="timer",
            since=_told(visit.entered_at or None),
            until=_told(visit.wake_at),
        )
        if visit.path not in state.listening:
            return view if visit.path in state.waiting else None
        if step.signal is not None:
            return msgspec.structs.replace(view, kind="signal", name=step.signal)
        url = site.url(site.token(state.execution_id, visit.path))
        return msgspec.structs.replace(view, kind="callback", callback_url=url)
    if not isinstance(step, TaskStep) or not visit.open or step.awaits == "answer":
        return None
    attempt = visit.open[-1]
    if step.awaits == "poll" and attempt.accepted_at is None:
        return None
    view = WaitView(
        visit=visit.path,
        step_id=visit.step_id,
        kind=step.awaits,
        since=_told(attempt.accepted_at or attempt.at or None),
        until=_told(attempt.ends_at),
        next_poll_at=_told(attempt.poll_at),
    )
    if step.awaits == "poll":
        return view
    url = site.url(site.token(state.execution_id, visit.path))
    return msgspec.structs.replace(view, callback_url=url)


def _told(at_ms: int | None) -> str | None:
    return None if at_ms is None else instant(at_ms)
