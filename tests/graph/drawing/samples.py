"""Workflows to draw, built from the model itself: every kind of step, and every way it can lead on."""

from collections.abc import Iterable

from core.data.flow import Flow, Rule, Template
from core.graph.model import (
    AllOf,
    AnyOf,
    Catcher,
    ChoiceRule,
    ChoiceStep,
    Comparison,
    FailStep,
    MapStep,
    Negation,
    ParallelStep,
    PassStep,
    RetryPolicy,
    Step,
    SucceedStep,
    Target,
    TaskStep,
    WaitStep,
    Workflow,
    WorkflowStep,
)


def workflow(start: str, steps: Iterable[Step], name: str | None = None) -> Workflow:
    return Workflow(
        id="sample",
        name=name,
        start_at=start,
        steps={step.id: step for step in steps},
        digest="0" * 64,
        source=b"{}",
    )


def task(name: str, next: str | None = None, **more: object) -> TaskStep:  # noqa: A002 - the field's name
    targets = (Target("AWS", name, "eu-west-1"), Target("GCP", name))
    fields: dict[str, object] = {"id": name, "targets": targets, "next": next, **more}
    return TaskStep(**fields)  # type: ignore[arg-type]  # a test's own fields, checked by what is drawn


def saga() -> Workflow:
    """An order: a choice, a loop by a wait, two branches, items, a child, and what undoes them."""
    big = AllOf(
        (
            Comparison(("order", "total"), "gt", 100),
            Negation(AnyOf((Comparison(("vip",), "exists", True), Comparison(("kind",), "in", ["a", "b"])))),
        )
    )
    return workflow(
        "size",
        (
            ChoiceStep(id="size", choices=(ChoiceRule(big, "approve"),), default="prepare"),
            WaitStep(
                id="approve",
                signal="approved",
                timeout_ms=3_600_000,
                next="prepare",
                catch=(Catcher(errors=("Sidestep.Timeout",), next="refused"),),
            ),
            FailStep(id="refused", error="Refused"),
            ParallelStep(
                id="prepare",
                branches=("reserve", "rate"),
                catch=(Catcher(errors=("*",), next="refused"),),
                next="lines",
            ),
            task(
                "reserve",
                compensate="release",
                effects="atMostOnce",
                retries=(RetryPolicy(errors=("Boom", "*"), max_attempts=3),),
            ),
            task("rate", next="rated", awaits="poll"),
            ChoiceStep(
                id="rated",
                choices=(ChoiceRule(Comparison(("state",), "eq", "busy"), "pause"),),
                default="good",
            ),
            WaitStep(id="pause", seconds=5, next="rate"),
            SucceedStep(id="good"),
            MapStep(
                id="lines",
                first="pack",
                items="order.lines",
                max_concurrency=10,
                tolerated_count=3,
                next="bill",
            ),
            task("pack", next="label", awaits="callback"),
            PassStep(id="label", result={"done": True}),
            WorkflowStep(id="bill", workflow_id="billing", version=2, compensate="refund", next="end"),
            SucceedStep(id="end"),
            task("release", next="tell"),
            PassStep(id="tell"),
            task("refund"),
        ),
        name="An order, and what undoes it",
    )


def shared() -> Workflow:
    """Branches that share a step, within items, in the States Language."""
    look = Flow(language="jsonata", fields={"Items": Template("{% $states.input.orders %}")})
    return workflow(
        "each",
        (
            MapStep(id="each", first="both", distributed=True, flow=look),
            ParallelStep(id="both", branches=("left", "right")),
            PassStep(id="left", next="joint"),
            ChoiceStep(
                id="right",
                rules=(
                    Rule(test=Template("{% $x > 1 and $y %}"), next="joint"),
                    Rule(
                        test=Template(
                            {
                                "And": [
                                    {"Variable": "$.n", "NumericEquals": 1},
                                    {"Not": {"Variable": "$.b", "IsPresent": True}},
                                ]
                            }
                        ),
                        next="right",
                    ),
                ),
                default="never",
                flow=Flow(language="jsonata"),
            ),
            task("joint"),
            FailStep(id="never", error="Never"),
        ),
    )


def line(count: int) -> Workflow:
    """So many steps, one after the other."""
    steps = [PassStep(id=f"s{n}", next=f"s{n + 1}" if n < count else None) for n in range(1, count + 1)]
    return workflow("s1", steps)


def tangle(count: int) -> Workflow:
    """So many choices, each of which leads to the first, the last, and another far away."""
    choices = [
        ChoiceStep(
            id=f"s{n}",
            choices=(
                ChoiceRule(Comparison(("n",), "eq", n), f"s{(n * 7919) % count}"),
                ChoiceRule(Comparison(("n",), "lt", n), "s0"),
            ),
            default=f"s{n + 1}",
        )
        for n in range(count - 1)
    ]
    return workflow("s0", [*choices, SucceedStep(id=f"s{count - 1}")])


def wide(count: int) -> Workflow:
    """So many branches side by side."""
    names = [f"s{n}" for n in range(count)]
    return workflow("all", [ParallelStep(id="all", branches=tuple(names)), *(PassStep(id=n) for n in names)])
