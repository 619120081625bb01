"""What tests of late answers, signals and waits share."""

from typing import Any

from core.engine.callbacks import Callbacks
from core.failover.outcome import Executed, Outcome, Scope, succeeded
from core.machine import events as ev
from core.ports.provider import Call
from tests.engine.harness import World

REFUSED = Outcome(
    executed=Executed.NO, scope=Scope.PROVIDER, signal="connect-refused", error="Sidestep.ProviderUnreachable"
)
LOCATION = "https://jobs.test/1"


def one_task(**changes: Any) -> dict[str, Any]:
    task = {"id": "ask", "type": "TASK", "provider": "HTTP", "functionId": "ask", **changes}
    return {"id": "w", "startAt": "ask", "steps": [task]}


def one_wait(**changes: Any) -> dict[str, Any]:
    return {"id": "w", "startAt": "ask", "steps": [{"id": "ask", "type": "WAIT", **changes}]}


def words(world: World) -> Callbacks:
    return Callbacks(
        world.store, world.definitions, world.clock, world.site.public_url, secret=world.site.secret
    )


def accepts_poll(call: Call) -> Outcome:
    assert call.awaits == "poll"
    return Outcome(executed=Executed.YES, ok=True, accepted=True, location=LOCATION)


class Tokens:
    """A function that accepts, and remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> Outcome:
        self.calls.append(call)
        return succeeded({"accepted": "whatever"})

    @property
    def token(self) -> str:
        return self.calls[-1].callback_token or ""


async def released(world: World, execution_id: str) -> bool:
    record = await world.store.get(execution_id)
    return record.hold == "timer"


async def ended(world: World, execution_id: str) -> bool:
    return await world.status(execution_id) in {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "PARKED"}


async def kinds(world: World, execution_id: str) -> list[str]:
    return [ev.kind(event) for event in await world.journal(execution_id)]


async def output(world: World, execution_id: str) -> Any:
    return (await world.executions.view(execution_id)).output


async def released_without_messages(world: World, execution_id: str) -> bool:
    return await released(world, execution_id) and not await world.store.inbox(execution_id)


async def paused(world: World, execution_id: str) -> bool:
    return await world.status(execution_id) == "PAUSED" and not await world.store.inbox(execution_id)


async def completed(world: World, execution_id: str) -> bool:
    return await world.status(execution_id) == "COMPLETED"


async def let_go(world: World, execution_id: str) -> bool:
    return (await world.store.get(execution_id)).hold in {"none", "timer"}
