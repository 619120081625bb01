"""The one model that every front end reads into and that the machine walks.

All values are immutable. Steps lie in one flat mapping by id: a branch of a Parallel is named by the id
of its first step and goes on along `next` until a step has none.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from core.data.conditions import AllOf, AnyOf, Comparison, Condition, Negation, Operator
from core.data.paths import Json

__all__ = [
    "ANY_ERROR",
    "PROVIDERS",
    "AllOf",
    "AnyOf",
    "Catcher",
    "ChoiceRule",
    "ChoiceStep",
    "Comparison",
    "Condition",
    "Effects",
    "FailStep",
    "Json",
    "Negation",
    "OnAmbiguous",
    "Operator",
    "ParallelStep",
    "PassStep",
    "RetryPolicy",
    "Step",
    "SucceedStep",
    "Target",
    "TaskStep",
    "WaitStep",
    "Workflow",
]

PROVIDERS = ("AWS", "GCP", "AZURE", "HTTP")

Effects = Literal["pure", "idempotent", "atMostOnce"]
OnAmbiguous = Literal["failover", "park", "fail"]

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

    The error, `{"error": name, "cause": text}`, is put into the scope's data at the dotted `result_path`.
    """

    errors: tuple[str, ...]
    next: str
    result_path: str = "error"


class ChoiceRule(msgspec.Struct, frozen=True):
    """Go to `next` when `condition` holds."""

    condition: Condition
    next: str


class TaskStep(msgspec.Struct, frozen=True, kw_only=True, tag="TASK"):
    """Call a function: `targets[0]` is the primary, the rest are its fallbacks in order.

    With `hedge`, a call that takes longer than most gets a second one beside it, at a fallback: `pure` only.
    `timeout_ms` bounds one attempt, `deadline_ms` the whole visit with its retries and sidesteps.
    """

    id: str
    targets: tuple[Target, ...]
    effects: Effects = "idempotent"
    on_ambiguous: OnAmbiguous = "failover"
    failover_on_function_error: bool = False
    hedge: bool = False
    retries: tuple[RetryPolicy, ...] = ()
    timeout_ms: int = 30_000
    deadline_ms: int = 31_000
    catch: tuple[Catcher, ...] = ()
    next: str | None = None


class ChoiceStep(msgspec.Struct, frozen=True, kw_only=True, tag="CHOICE"):
    """Go where the first rule that holds says, else to `default`; with neither the step fails."""

    id: str
    choices: tuple[ChoiceRule, ...]
    default: str | None = None

    next: None = None
    catch: tuple[Catcher, ...] = ()


class ParallelStep(msgspec.Struct, frozen=True, kw_only=True, tag="PARALLEL"):
    """Walk all branches side by side; `branches` holds the id of each one's first step."""

    id: str
    branches: tuple[str, ...]
    catch: tuple[Catcher, ...] = ()
    next: str | None = None


class PassStep(msgspec.Struct, frozen=True, kw_only=True, tag="PASS"):
    """Merge `result` (an object, possibly empty) into the scope's data."""

    id: str
    result: Mapping[str, Json] = {}
    next: str | None = None
    catch: tuple[Catcher, ...] = ()


class WaitStep(msgspec.Struct, frozen=True, kw_only=True, tag="WAIT"):
    """Wait for `seconds`, or until `until_ms` (Unix epoch, milliseconds); exactly one is given."""

    id: str
    seconds: float | None = None
    until_ms: int | None = None
    next: str | None = None
    catch: tuple[Catcher, ...] = ()


class SucceedStep(msgspec.Struct, frozen=True, kw_only=True, tag="SUCCEED"):
    """End the scope (the execution, or the branch) well."""

    id: str
    next: None = None
    catch: tuple[Catcher, ...] = ()


class FailStep(msgspec.Struct, frozen=True, kw_only=True, tag="FAIL"):
    """End the scope with an error."""

    id: str
    error: str = "Sidestep.Failed"
    cause: str = ""
    next: None = None
    catch: tuple[Catcher, ...] = ()


Step = TaskStep | ChoiceStep | ParallelStep | PassStep | WaitStep | SucceedStep | FailStep


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A definition that passed validation: every id it names exists.

    `digest` is the SHA-256, in hex, of `source`, the canonical form of the document that was submitted
    (UTF-8 JSON, keys sorted, no white space). `timeout_ms` bounds the execution from its creation.
    """

    id: str
    name: str | None
    start_at: str
    steps: Mapping[str, Step]
    digest: str
    source: bytes
    timeout_ms: int | None = None
