"""What can be set of the engine, with its defaults."""

import msgspec


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times are seconds unless the name says otherwise.

    A claim lapses `lease` after its last renewal; renewals happen every third of it. `concurrency` bounds the
    executions driven at once, `grace` how long a stopping engine waits for calls under way. `poll` is how
    long a missed doorbell can go unnoticed. `skew_ms` is added to `not_after` for clocks that differ.
    `visit_budget` bounds the visits of one step in one scope (the execution, a branch, an item of a MAP),
    `data_budget` the bytes of all outputs of an execution together, `data_limit` those of one step's input or
    output. `envelope` gives answers Lambda's envelope where a step expects one; a trial's answers have it.
    With `accepts`, the answer to a call whose result comes by callback only accepts it; a trial's is the
    result.
    """

    lease: float = 10.0
    concurrency: int = 2_000
    grace: float = 10.0
    poll: float = 1.0
    skew_ms: int = 1_000
    visit_budget: int = 10_000
    data_budget: int = 16 * 1024 * 1024
    data_limit: int = 256 * 1024
    envelope: bool = True
    accepts: bool = True
    idempotency_seconds: int = 86_400
