"""A machine driven by hand: facts in, events and commands out, no shell."""

from collections.abc import Mapping
from typing import Any

from core.failover.health import ALL_WELL, Health
from core.failover.outcome import Executed, Outcome, Scope
from core.graph.model import Step, Target, Workflow
from core.machine import events as ev
from core.machine.decide import Abort, Decision, decide
from core.machine.evolve import evolve
from core.machine.state import State, blank
from core.machine.tasks import Send

AWS, GCP, AZURE = (Target(name, "f") for name in ("AWS", "GCP", "AZURE"))

REFUSED = Outcome(
    executed=Executed.NO, scope=Scope.PROVIDER, signal="connect-refused", error="Sidestep.Unavailable"
)
TIMED_OUT = Outcome(
    executed=Executed.MAYBE, scope=Scope.PROVIDER, signal="read-timeout", error="Sidestep.Timeout"
)
RAISED = Outcome(executed=Executed.YES, scope=Scope.FUNCTION, signal="raised", error="ValueError", cause="no")
BAD_REQUEST = Outcome(executed=Executed.NO, scope=Scope.CALLER, signal="http-400", error="Sidestep.Rejected")
THROTTLED = Outcome(
    executed=Executed.NO,
    scope=Scope.SATURATION,
    signal="throttled",
    error="Sidestep.Throttled",
    retry_after_ms=500,
    retry_here=True,
)


def workflow(*steps: Step, timeout_ms: int | None = None) -> Workflow:
    return Workflow(
        id="w",
        name=None,
        start_at=steps[0].id,
        steps={step.id: step for step in steps},
        digest="d",
        source=b"{}",
        timeout_ms=timeout_ms,
    )


class Machine:
    """One execution. `now` moves only when a test moves it."""

    def __init__(
        self,
        *steps: Step,
        input_: Mapping[str, Any] | None = None,
        health: Health = ALL_WELL,
        budget: int = 10_000,
        deadline_at: int | None = None,
        stopped: bool = False,
    ) -> None:
        self.stopped = stopped
        self.now = 1_000
        self.health = health
        self.events: list[ev.AnyEvent] = []
        self.sent: list[Send] = []
        self.aborted: list[Abort] = []
        self.wake_at: int | None = None
        self.state: State = blank("x1", workflow(*steps))
        self.tell(
            ev.WorkflowCreated(
                workflow_id="w",
                digest="d",
                input=dict(input_ or {}),
                visit_budget=budget,
                deadline_at=deadline_at,
            )
        )
        self.decide()

    def tell(self, event: ev.AnyEvent) -> None:
        self.state = evolve(self.state, event)
        self.events.append(event)

    def decide(self) -> Decision:
        decision = decide(self.state, self.now, self.health, entropy=7, stopping=self.stopped)
        self.state = decision.state
        self.events += decision.events
        self.sent += [one for one in decision.commands if isinstance(one, Send)]
        self.aborted += [one for one in decision.commands if isinstance(one, Abort)]
        self.wake_at = decision.wake_at
        return decision

    def answer(self, outcome: Outcome | Mapping[str, Any] | Any, visit: str | None = None) -> None:
        """Close an open attempt (of `visit`, or the only one) and decide."""
        path = visit or next(one for one, live in self.state.visits.items() if live.open)
        live = self.state.visits[path]
        number = live.open[0].number
        if isinstance(outcome, Outcome):
            self.tell(ev.AttemptFailed(visit=path, step_id=live.step_id, attempt=number, outcome=outcome))
        else:
            self.tell(ev.AttemptSucceeded(visit=path, step_id=live.step_id, attempt=number, output=outcome))
        self.decide()

    def interrupt(self) -> None:
        """The owner died: what a new owner records first, and then its decision."""
        for path, live in self.state.visits.items():
            for attempt in live.open:
                self.tell(
                    ev.AttemptInterrupted(
                        visit=path, step_id=live.step_id, attempt=attempt.number, deadline_at=self.now + 9_000
                    )
                )
        self.decide()

    def sleep_until_wake(self) -> None:
        assert self.wake_at is not None
        self.now = self.wake_at
        self.decide()

    def kinds(self) -> list[str]:
        return [ev.kind(event) for event in self.events]

    def last(self) -> Send:
        return self.sent[-1]
