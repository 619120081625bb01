"""The one model that every front end reads into and that the machine walks.

All values are immutable. Steps lie in one flat mapping by id: a branch of a Parallel is named by the id
of its first step and goes on along `next` until a step has none.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from core.data.conditions import AllOf, AnyOf, Comparison, Condition, Negation, Operator
from core.data.flow import Flow, Rule
from core.data.paths import Json

__all__ = [
    "ANY_ERROR",
    "PROVIDERS",
    "AllOf",
    "AnyOf",
    "Await",
    "Catcher",
    "ChoiceRule",
    "ChoiceStep",
    "Comparison",
    "Condition",
    "Effects",
    "FailStep",
    "Flow",
    "Json",
    "MapStep",
    "Negation",
    "OnAmbiguous",
    "Operator",
    "ParallelStep",
    "PassStep",
    "RetryPolicy",
    "Rule",
    "Step",
    "SucceedStep",
    "Target",
    "TaskStep",
    "WaitStep",
    "Workflow",
    "WorkflowStep",
]

PROVIDERS = ("AWS", "GCP", "AZURE", "HTTP")

Effects = Literal["pure", "idempotent", "atMostOnce"]
OnAmbiguous = Literal["failover", "park", "fail"]

Await = Literal["answer", "callback", "poll"]
"""When a task is done: with the function's answer; when a callback says so (the answer only says that it has
been accepted); or, after a 202 with `Location`, when that address answers with something else.
"""

ANY_ERROR = "*"
"""Matches every error in `RetryPolicy.errors` and `Catcher.errors`."""


class Target(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Where a step can run: one function at one provider.

    `function_id` is a name, alias or ARN at AWS, a function's name or URL at GCP, a route at AZURE, and a
    URL or a registered service's name at HTTP. `region` is None where the settings choose it.
    """

    provider: str
    function_id: str
    region: str | None = None

    def __str__(self) -> str:
        """`AWS eu-west-1 charge`, as people read it."""
        return " ".join(part for part in (self.provider, self.region, self.function_id) if part)


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often, and how far apart, a step's failure is tried again.

    `max_attempts` counts retries, not the first try (as in the States Language). The nth delay is
    min(max_delay_seconds, interval_seconds * backoff_rate ** (n - 1)); with jitter "full" it is a uniform
    draw between 0 and that (AWS Architecture Blog, "Exponential backoff and jitter").
    """

    errors: tuple[str, ...] = (ANY_ERROR,)
    max_attempts: int
    interval_seconds: float = 1.0
    backoff_rate: float = 2.0
    max_delay_seconds: float = 60.0
    jitter: Literal["full", "none"] = "full"


class Catcher(msgspec.Struct, frozen=True, kw_only=True):
    """Where a failure named by one of `errors` goes on.

    The error, `{"error": name, "cause": text}`, is put into the scope's data at the dotted `result_path`;
    with a `flow`, that says what goes on instead.
    """

    errors: tuple[str, ...]
    next: str
    result_path: str = "error"
    flow: Flow | None = None


class ChoiceRule(msgspec.Struct, frozen=True):
    """Go to `next` when `condition` holds."""

    condition: Condition
    next: str


class TaskStep(msgspec.Struct, frozen=True, kw_only=True, tag="TASK"):
    """Call a function: `targets[0]` is the primary, the rest are its fallbacks in order.

    With `hedge`, a call that takes longer than most gets a second one beside it, at a fallback: `pure` only.
    `timeout_ms` bounds one attempt (of `callback` and `poll`: until its result), `deadline_ms` the whole
    visit with its retries and sidesteps, `heartbeat_ms` the time between two signs of life of an accepted
    call.
    `retry_budget` bounds the retries of all its policies and visits together. With `lambda_envelope` the
    payload and the result are those of Lambda's Invoke (`FunctionName`, `Payload` ...), and with
    `dynamic_function` the primary's name is in the payload only.
    """

    id: str
    targets: tuple[Target, ...]
    effects: Effects = "idempotent"
    on_ambiguous: OnAmbiguous = "failover"
    failover_on_function_error: bool = False
    hedge: bool = False
    retries: tuple[RetryPolicy, ...] = ()
    retry_budget: int | None = None
    timeout_ms: int = 30_000
    deadline_ms: int = 31_000
    heartbeat_ms: int | None = None
    awaits: Await = "answer"
    lambda_envelope: bool = False
    dynamic_function: bool = False
    compensate: str | None = None
    flow: Flow | None = None
    catch: tuple[Catcher, ...] = ()
    next: str | None = None


class ChoiceStep(msgspec.Struct, frozen=True, kw_only=True, tag="CHOICE"):
    """Go where the first rule that holds says, else to `default`; with neither the step fails.

    With a `flow`, `rules` are asked instead of `choices`.
    """

    id: str
    choices: tuple[ChoiceRule, ...] = ()
    default: str | None = None
    rules: tuple[Rule, ...] = ()
    flow: Flow | None = None

    next: None = None
    catch: tuple[Catcher, ...] = ()


class ParallelStep(msgspec.Struct, frozen=True, kw_only=True, tag="PARALLEL"):
    """Walk all branches side by side; `branches` holds the id of each one's first step."""

    id: str
    branches: tuple[str, ...]
    retries: tuple[RetryPolicy, ...] = ()
    compensate: str | None = None
    flow: Flow | None = None
    catch: tuple[Catcher, ...] = ()
    next: str | None = None


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """Items are handed out in batches of at most `items` and `size` bytes of JSON, each as
    `{"Items": [...], "BatchInput": ...}` (the States Language's ItemBatcher).
    """

    items: int | None = None
    size: int | None = None


class MapStep(msgspec.Struct, frozen=True, kw_only=True, tag="MAP"):
    """Walk the steps from `first` on once for each item, at most `max_concurrency` side by side (0: all).

    Natively the items stand at the dotted path `items`, or are what the flow's field `items` gives; each
    walk sees a copy of the context and in it `item` and `index`. More than `tolerated_count` or
    `tolerated_percent` failed items fail the step. `results` is `inline` (a list), `reference` (the journal
    keeps them, and the output says how many there are) or one of the States Language's `COMPACT` and
    `FLATTEN`.
    """

    id: str
    first: str
    items: str | None = None
    max_concurrency: int = 0
    tolerated_count: int = 0
    tolerated_percent: float = 0.0
    batching: Batching | None = None
    distributed: bool = False
    results: Literal["inline", "reference", "COMPACT", "FLATTEN"] = "inline"
    retries: tuple[RetryPolicy, ...] = ()
    compensate: str | None = None
    flow: Flow | None = None
    catch: tuple[Catcher, ...] = ()
    next: str | None = None


class WorkflowStep(msgspec.Struct, frozen=True, kw_only=True, tag="WORKFLOW"):
    """Run a registered workflow as a child execution, and wait for its end.

    Its input is the context, or what the flow's `arguments` give; its output is the step's. `version` None
    is the newest at the start. `timeout_ms` bounds it: then it is cancelled.
    """

    id: str
    workflow_id: str
    version: int | None = None
    timeout_ms: int | None = None
    retries: tuple[RetryPolicy, ...] = ()
    compensate: str | None = None
    flow: Flow | None = None
    catch: tuple[Catcher, ...] = ()
    next: str | None = None


class PassStep(msgspec.Struct, frozen=True, kw_only=True, tag="PASS"):
    """Merge `result` (an object, possibly empty) into the scope's data, or what the flow says."""

    id: str
    result: Mapping[str, Json] = {}
    flow: Flow | None = None
    next: str | None = None
    catch: tuple[Catcher, ...] = ()


class WaitStep(msgspec.Struct, frozen=True, kw_only=True, tag="WAIT"):
    """Wait for `seconds`, until `until_ms` (Unix epoch, milliseconds), for the signal named `signal`, or for
    a callback; exactly one is given, or the flow's fields `Seconds` or `Timestamp`.

    A signal or a callback that does not come within `timeout_ms` fails the step.
    """

    id: str
    seconds: float | None = None
    until_ms: int | None = None
    signal: str | None = None
    callback: bool = False
    timeout_ms: int | None = None
    flow: Flow | None = None
    next: str | None = None
    catch: tuple[Catcher, ...] = ()


class SucceedStep(msgspec.Struct, frozen=True, kw_only=True, tag="SUCCEED"):
    """End the scope (the execution, or the branch) well."""

    id: str
    flow: Flow | None = None
    next: None = None
    catch: tuple[Catcher, ...] = ()


class FailStep(msgspec.Struct, frozen=True, kw_only=True, tag="FAIL"):
    """End the scope with an error."""

    id: str
    error: str = "Sidestep.Failed"
    cause: str = ""
    flow: Flow | None = None
    next: None = None
    catch: tuple[Catcher, ...] = ()


Step = (
    TaskStep
    | ChoiceStep
    | ParallelStep
    | MapStep
    | WorkflowStep
    | PassStep
    | WaitStep
    | SucceedStep
    | FailStep
)

Opener = ParallelStep | MapStep
"""Steps that open scopes of their own."""

OPENERS = (ParallelStep, MapStep)


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A definition that passed validation: every id it names exists.

    `digest` is the SHA-256, in hex, of `source`, the canonical form of the document that was submitted
    (UTF-8 JSON, keys sorted, no white space). `timeout_ms` bounds the execution from its creation.

    `language` says whose semantics hold where they differ: `states` is the Amazon States Language, in which
    a scope's data is any JSON and goes from state to state, and errors bear AWS's names. `retry_budget`
    bounds the retries of all steps together.
    """

    id: str
    name: str | None
    start_at: str
    steps: Mapping[str, Step]
    digest: str
    source: bytes
    timeout_ms: int | None = None
    language: Literal["native", "states"] = "native"
    retry_budget: int | None = None
