"""A token of a callback stands where it has to, and nowhere that people read."""

from core.engine.hiding import HIDDEN, without_tokens
from core.failover.outcome import Executed, Outcome, Scope
from core.machine import events as ev
from core.machine.tokens import token
from core.ports.provider import Call
from tests.engine.harness import World


def test_a_token_is_hidden_in_text_in_lists_and_in_names() -> None:
    secret = token(b"s", "01jd8x3k9q0000000000000000-0", "a")
    other = token(b"s", "01jd8x3k9q0000000000000000-0", "b")
    shown = without_tokens({secret: [f"http://x/callbacks/{secret}", other]}, "a")
    assert shown == {HIDDEN: [f"http://x/callbacks/{HIDDEN}", other]}


async def test_a_function_that_tells_of_its_call_in_an_error_gives_no_token_away() -> None:
    given: list[str] = []

    def complains(call: Call) -> Outcome:
        given.append(call.callback_token or "")
        cause = f"cannot reach {call.callback_url}, honestly"
        return Outcome(executed=Executed.YES, scope=Scope.FUNCTION, error="Unreachable", cause=cause)

    world = World(complains)
    task = {"id": "a", "type": "TASK", "provider": "AWS", "functionId": "f", "await": "callback"}
    document = {"id": "w", "startAt": "a", "steps": [task | {"retries": [{"maxAttempts": 1}]}]}
    execution_id = await world.submit(document)
    await world.run(world.at_rest)
    assert len(given) == 2
    assert given[0]
    journal = await world.journal(execution_id)
    causes = [one.outcome.cause for one in journal if isinstance(one, ev.AttemptFailed)]
    assert all(HIDDEN in cause and "honestly" in cause for cause in causes)
    assert not any(token_ in repr(journal) for token_ in given)
