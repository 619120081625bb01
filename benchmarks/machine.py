"""What the pure core costs, in CPU microseconds a step: `python -m benchmarks.machine [--json]`.

No store, no provider, no event loop: facts are folded, decisions made, and their batches written and read, as
a driver does it. Three shapes: a line of tasks, a MAP whose items are a task each, and a line whose primary
refuses every call, so that each step goes to its fallback. A figure is the least of several runs.
"""

import argparse
import gc
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from core.engine.births import created, summarise
from core.engine.settings import EngineSettings
from core.failover.health import Health, Standing
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Target, Workflow
from core.graph.reading import read_workflow
from core.machine import events as ev
from core.machine import snapshot
from core.machine.decide import decide
from core.machine.evolve import evolve, fold
from core.machine.journal import Envelope, decode, encode
from core.machine.state import State, blank
from core.machine.tasks import Send

EXECUTION = "01kafw2m8x4v7n3s5t6q9r0bcd-3"
NOW = 1_763_689_200_000
FIRST = {"order": "A-1001", "amount": 12.5, "items": [1, 2, 3]}
ANSWER = {"charged": True, "amount": 42}
SIZE = len(msgspec.json.encode(ANSWER))
LENGTHS = (1, 10, 100, 1_000)
PRIMARY, FALLBACK = Target("HTTP", "http://127.0.0.1:9000/fn"), Target("AWS", "charge", "eu-west-1")
HEALTH = Health(
    functions={
        PRIMARY: Standing(p95_ms=4.2, p99_ms=6.1, overdue_ms=500.0, room=100),
        FALLBACK: Standing(p95_ms=4.2, p99_ms=6.1, overdue_ms=500.0, room=100),
    }
)
REFUSED = Outcome(
    executed=Executed.NO,
    scope=Scope.PROVIDER,
    signal="connect-refused",
    error="Sidestep.Unavailable",
    cause="nobody listens there",
)


def line(steps: int, *, fallback: bool = False) -> Workflow:
    """A line of tasks, with a fallback each where that is wanted."""
    document = {
        "id": "line",
        "startAt": "s0",
        "steps": [
            _task(f"s{n}", fallback=fallback) | ({"next": f"s{n + 1}"} if n + 1 < steps else {})
            for n in range(steps)
        ],
    }
    return read_workflow(document)


def mapped() -> Workflow:
    """A MAP over the input's `items`, each of which is one task."""
    each = {"id": "each", "type": "MAP", "items": "items", "each": "one"}
    return read_workflow({"id": "mapped", "startAt": "each", "steps": [each, _task("one")]})


def _task(name: str, *, fallback: bool = False) -> dict[str, Any]:
    """A TASK as a definition says it."""
    task = {"id": name, "type": "TASK", "provider": PRIMARY.provider, "functionId": PRIMARY.function_id}
    if fallback:
        other = {
            "provider": FALLBACK.provider,
            "functionId": FALLBACK.function_id,
            "region": FALLBACK.region,
        }
        return task | {"fallbacks": [other]}
    return task


class Walk(msgspec.Struct, frozen=True):
    """An execution from its creation to its end: the events of each commit, and the state after all."""

    workflow: Workflow
    commits: Sequence[tuple[ev.AnyEvent, ...]]
    state: State

    @property
    def events(self) -> list[ev.AnyEvent]:
        """All of them, in order."""
        return [event for commit in self.commits for event in commit]


def walk(workflow: Workflow, given: Any, *, down: bool = False) -> Walk:
    """Run it to its end, each answer in a commit of its own; where it is `down`, the primary refuses."""
    first: ev.AnyEvent = created(workflow, EngineSettings(), NOW, given, 100)
    state = evolve(blank(EXECUTION, workflow), first)
    commits: list[tuple[ev.AnyEvent, ...]] = [(first,)]
    under_way: deque[Send] = deque()
    facts: tuple[ev.AnyEvent, ...] = ()
    while not state.terminal:
        for fact in facts:
            state = evolve(state, fact)
        decision = decide(state, NOW, HEALTH, entropy=7)
        state = decision.state
        commits.append((*facts, *decision.events))
        under_way.extend(command for command in decision.commands if isinstance(command, Send))
        facts = (_answer(under_way.popleft(), down=down),) if under_way else ()
    return Walk(workflow, commits, state)


def _answer(send: Send, *, down: bool) -> ev.AnyEvent:
    at = send.started
    if down and at.target == PRIMARY:
        return ev.AttemptFailed(
            visit=at.visit, step_id=at.step_id, attempt=at.attempt, outcome=REFUSED, duration_ms=1.25
        )
    return ev.AttemptSucceeded(
        visit=at.visit, step_id=at.step_id, attempt=at.attempt, output=ANSWER, size=SIZE, duration_ms=4.125
    )


def enveloped(events: tuple[ev.AnyEvent, ...], seq: int = 1) -> Envelope:
    """The events as a driver wraps them."""
    return Envelope(seq=seq, at=NOW, epoch=1, actor="worker-7f3a9c51-2", commit="1.3", events=events)


def cpu_us(act: Callable[[], object], units: int = 1, *, seconds: float = 0.25, runs: int = 5) -> float:
    """CPU microseconds that `act` takes for each of its `units`: the least of `runs` runs."""
    began, times = time.process_time(), 0
    while not times or time.process_time() - began < seconds / runs:
        act()
        times += 1
    best = float("inf")
    for _ in range(runs):
        gc.collect()
        began = time.process_time()
        for _ in range(times):
            act()
        best = min(best, time.process_time() - began)
    return best / times / units * 1e6


def costs(workflow: Workflow, given: Any, steps: int, *, down: bool = False) -> dict[str, float]:
    """Microseconds a step: `walk` (evolve and decide, live), `fold` (from the journal), `summary`; and
    microseconds a commit: `encode` and `decode`.
    """
    done = walk(workflow, given, down=down)
    events, batches = done.events, [enveloped(commit) for commit in done.commits]
    written = [encode(batch) for batch in batches]
    empty = blank(EXECUTION, workflow)

    def encode_all() -> None:
        for batch in batches:
            encode(batch)

    def decode_all() -> None:
        for data in written:
            decode(data)

    return {
        "walk_us": cpu_us(lambda: walk(workflow, given, down=down), steps),
        "fold_us": cpu_us(lambda: fold(empty, events), steps),
        "encode_us": cpu_us(encode_all, len(batches)),
        "decode_us": cpu_us(decode_all, len(written)),
        "summary_us": cpu_us(lambda: summarise(done.state)),
        "snapshot_us": cpu_us(lambda: snapshot.dump(done.state), steps),
    }


def line_costs(steps: int) -> dict[str, float]:
    """A plain line."""
    return costs(line(steps), FIRST, steps)


def map_costs(items: int) -> dict[str, float]:
    """A MAP of so many items."""
    return costs(mapped(), {"items": list(range(items))}, items)


def failing_over_costs(steps: int) -> dict[str, float]:
    """A line whose every step goes to its fallback."""
    return costs(line(steps, fallback=True), FIRST, steps, down=True)


SHAPES: dict[str, Callable[[int], dict[str, float]]] = {
    "line": line_costs,
    "map": map_costs,
    "failing over": failing_over_costs,
}


def table() -> dict[str, dict[int, dict[str, float]]]:
    """Every shape in every length."""
    return {name: {length: shape(length) for length in LENGTHS} for name, shape in SHAPES.items()}


def main() -> None:
    """Measure everything and print the table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.machine", description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    found = table()
    if as_json:
        print(json.dumps(found))
        return
    names = list(found["line"][1])
    print(f"{'':14}{'steps':>6}" + "".join(f"{name:>13}" for name in names))
    for shape, lengths in found.items():
        for length, row in lengths.items():
            print(f"{shape:14}{length:6}" + "".join(f"{row[name]:13.2f}" for name in names))


if __name__ == "__main__":
    main()
