"""What people ask of an execution that exists: pause, resume, cancel, redrive, resolve.

Each is a message in the execution's inbox: durable when the call returns, taken up by whoever drives the
execution, and journaled with the actor and the reason. What the record shows to be impossible is refused at
once; a request that loses a race later (the execution ended meanwhile) is journaled as REQUEST_IGNORED.

A message id makes a request repeatable: the same id again changes nothing and returns False, also after the
request was carried out. Without one, each call is a request of its own.
"""

import secrets

from core.engine.definitions import Definitions
from core.engine.recovery import rebuild
from core.errors import ExecutionEnded, InvalidInput, NotPossible
from core.machine.journal import decode
from core.machine.requests import (
    CANCEL,
    PAUSE,
    REDRIVE,
    RESOLVE,
    RESUME,
    VERDICTS,
    Verdict,
    parked_visit,
    refusal,
    refused,
)
from core.machine.state import State
from core.machine.transitions import TERMINAL
from core.ports.clock import Clock
from core.ports.store import Message, Store

PAGE = 500
"""How many events are read at once."""


class LifeCycle:
    """The requests. Every one raises ExecutionNotFound, and ExecutionEnded where the status is terminal and
    the request needs a live execution, and NotPossible where the status does not fit otherwise.
    """

    def __init__(self, store: Store, definitions: Definitions, clock: Clock) -> None:
        self._store = store
        self._definitions = definitions
        self._clock = clock

    async def pause(
        self, execution_id: str, *, actor: str = "", reason: str = "", message_id: str | None = None
    ) -> bool:
        """Ask that nothing new starts, whatever is in flight being left to end. From PENDING, RUNNING and
        PARKED. False where this message was taken before.
        """
        return await self._ask(execution_id, PAUSE, {"reason": reason}, actor, message_id)

    async def resume(
        self, execution_id: str, *, actor: str = "", reason: str = "", message_id: str | None = None
    ) -> bool:
        """Let a PAUSED execution go on; it gets the time back that the pause took. False where this message
        was taken before.
        """
        return await self._ask(execution_id, RESUME, {"reason": reason}, actor, message_id)

    async def redrive(
        self, execution_id: str, *, actor: str = "", reason: str = "", message_id: str | None = None
    ) -> bool:
        """Run a FAILED, TIMED_OUT or CANCELLED execution again from what failed or was cancelled, keeping
        what completed. False where this message was taken before. NotPossible where it has not ended, is
        COMPLETED, or what its steps did was undone.
        """
        return await self._ask(execution_id, REDRIVE, {"reason": reason}, actor, message_id)

    async def cancel(
        self, execution_id: str, *, actor: str = "", reason: str = "", message_id: str | None = None
    ) -> bool:
        """Ask for a stop, from every live status. False where that was asked before, with any message id of
        this call's own making. After a redrive it can be asked for again.
        """
        body: dict[str, object] = {"reason": reason}
        if message_id is not None:
            return await self._ask(execution_id, CANCEL, body, actor, message_id)
        if await self._deliver(execution_id, CANCEL, body, actor, "cancel"):
            return True
        state = await self._state(execution_id)
        waiting = [one for one in await self._store.inbox(execution_id) if one.kind == REDRIVE]
        if state.redrives + len(waiting) == 0:
            return False
        # The earlier cancel was of an earlier run. A redrive that is still to be taken up comes before it.
        again = f"cancel-{state.redrives + len(waiting)}"
        return await self._deliver(execution_id, CANCEL, body, actor, again, revive=bool(waiting))

    async def resolve(
        self,
        execution_id: str,
        *,
        step: str | None = None,
        verdict: Verdict,
        output: object = None,
        error: str | None = None,
        cause: str = "",
        actor: str = "",
        reason: str = "",
        message_id: str | None = None,
    ) -> bool:
        """Settle a parked step, in a person's name.

        `step` is the path of the visit, or a step id where one visit of it is parked, or None where one
        visit is parked at all. `completed` gives the step its `output`; `failed` fails it with `error`
        (default `Sidestep.ResolvedAsFailed`) and `cause`, which its `catch` may take; `retry` sends it once
        more where it was, `failover` at its next target, both with the round's idempotency key. False where
        this message was taken before. NotPossible where no such step is parked, more than one is meant, or
        no target is left; InvalidInput for an unknown verdict and an output that is not JSON.
        """
        if verdict not in VERDICTS:
            raise InvalidInput(f"a verdict is one of {', '.join(VERDICTS)}, and not {verdict!r}")
        state = await self._state(execution_id)
        meant = refusal(RESOLVE, state.status) or parked_visit(state, step, verdict)
        if isinstance(meant, str):
            if message_id is not None and await self._taken(execution_id, message_id):
                return False
            raise _refused(RESOLVE, execution_id, state.status, meant)
        body: dict[str, object] = {
            # It is this parking that is settled, and no later one of the same visit.
            "visit": meant.path,
            "attempts": meant.attempts,
            "verdict": verdict,
            "output": output,
            "error": error,
            "cause": cause,
            "reason": reason,
        }
        return await self._deliver(execution_id, RESOLVE, body, actor, message_id)

    async def _ask(
        self, execution_id: str, kind: str, body: dict[str, object], actor: str, message_id: str | None
    ) -> bool:
        status = (await self._store.get(execution_id)).summary.status
        why = refusal(kind, status)
        if why is None and kind == REDRIVE:
            # What an ended execution has undone, its record does not tell.
            why = refused(kind, await self._state(execution_id))
        if why is not None:
            if message_id is not None and await self._taken(execution_id, message_id):
                return False
            raise _refused(kind, execution_id, status, why)
        return await self._deliver(execution_id, kind, body, actor, message_id, revive=kind == REDRIVE)

    async def _deliver(
        self,
        execution_id: str,
        kind: str,
        body: dict[str, object],
        actor: str,
        message_id: str | None,
        *,
        revive: bool = False,
    ) -> bool:
        message = Message(
            message_id=message_id or f"{kind}-{secrets.token_hex(8)}",
            kind=kind,
            body=body,
            actor=actor,
            sent_at_ms=self._clock.now_ms(),
        )
        return await self._store.deliver(execution_id, message, revive=revive)

    async def _taken(self, execution_id: str, message_id: str) -> bool:
        """Whether a message was had before: it waits in the inbox, or the journal tells of it."""
        if any(one.message_id == message_id for one in await self._store.inbox(execution_id)):
            return True
        after = 0
        while batches := await self._store.history(execution_id, after, PAGE):
            for envelope in map(decode, batches):
                if any(getattr(one, "message_id", None) == message_id for one in envelope.events):
                    return True
                after = envelope.seq + len(envelope.events) - 1
        return False

    async def _state(self, execution_id: str) -> State:
        loaded = await self._store.load(execution_id)
        return await rebuild(self._store, execution_id, loaded, self._definitions)


def _refused(kind: str, execution_id: str, status: str, why: str) -> ExecutionEnded | NotPossible:
    if status in TERMINAL and kind != REDRIVE:
        return ExecutionEnded(f"execution {execution_id} is {status}: {why}")
    return NotPossible(f"execution {execution_id} is {status}: {why}")
