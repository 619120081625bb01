"""How data comes into a step and goes out of it, where a definition says more than the native merge.

A `Flow` is what a definition says, a `Frame` what an expression can see, a `Request` one question (the data
that enters, the data that leaves, the way a choice goes), and an `Answer` what came of it. A failed
evaluation is data too: an error's name and a cause. core/data/evaluating.py answers requests.

Nothing here is journaled but the answers: no expression is evaluated again when a journal is read.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Json = Any

Language = Literal["native", "jsonpath", "jsonata"]

QUERY_ERROR: Final = "States.QueryEvaluationError"
RUNTIME_ERROR: Final = "States.Runtime"
INTRINSIC_ERROR: Final = "States.IntrinsicFailure"
EXPRESSION_ERROR: Final = "Sidestep.ExpressionFailed"
"""Of a native definition; the others are the States Language's names (its specification, appendix A)."""


class Template(msgspec.Struct, frozen=True):
    """JSON in which some strings (JSONata, native) or members (JSONPath: names that end in `.$`) are
    expressions. `source` is as in the definition.
    """

    source: Json


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What a step says about its data. None or the default is what an absent field means.

    JSONPath: `input_path`, `arguments` (Parameters; of a Map without item_selector: the legacy per-item ones
    are `item`), `result` (of a Pass), `result_selector`, `result_path`, `output_path`, `assign`. A path that
    is None was null in the definition. JSONata: `arguments`, `output`, `assign`. Native: `arguments`
    (`input`) and `output`, in which strings are `{% JSONata %}` or `$.dotted.paths`.

    `fields` are further fields by their name in the definition (`TimeoutSeconds`, `SecondsPath`, `Items`,
    `Error`, `ToleratedFailurePercentagePath`, `MaxConcurrencyPath` ...), evaluated when the step is entered;
    what each must be is checked in evaluating.py. `item` is evaluated for each item of a Map (ItemSelector);
    `objects` says that its Items may be an object too, whose members are walked.
    """

    language: Language
    input_path: str | None = "$"
    arguments: Template | None = None
    result: Template | None = None
    result_selector: Template | None = None
    result_path: str | None = "$"
    output_path: str | None = "$"
    output: Template | None = None
    assign: Template | None = None
    fields: Mapping[str, Template] = {}
    item: Template | None = None
    objects: bool = False


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One choice: where `test` is true of the frame, go to `next`, after `assign` and `output`.

    In JSONPath `test` is the rule as the States Language writes it (`{"And": [...]}`, `{"Variable": "$.x",
    "NumericEquals": 1}`), elsewhere one JSONata expression, `{% ... %}`. In native JSON it may also be a
    comparison as it stands in the definition (`{"variable": "x", "operator": "eq", "value": 1}`, or "and",
    "or", "not" around others): rules.py makes a condition of it.
    """

    test: Template
    next: str
    output: Template | None = None
    assign: Template | None = None


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What an expression can see.

    `data` is the raw input of the step (`$`, `$states.input`), `variables` those in scope, `context` the
    context object (`$$`, `$states.context`), `result` what the step gave (MISSING as msgspec.UNSET), `error`
    the error output `{"Error", "Cause"}` where one is caught. `now_ms` and `entropy` (64 bits) are what time
    and chance are for it.
    """

    data: Json
    variables: Mapping[str, Json] = {}
    context: Mapping[str, Json] = {}
    result: Json = msgspec.UNSET
    error: Mapping[str, Json] | None = None
    now_ms: int = 0
    entropy: int = 0


Kind = Literal["enter", "leave", "caught", "choose", "item"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question.

    `enter`: the step's effective input and `fields`. `leave`: its output and assignments, from the effective
    input `payload` and the frame's result (for JSONPath's result_path, into the frame's raw input). `caught`:
    the same for a catcher's `flow` and the frame's error. `choose`: the first of `rules` that holds, else
    `otherwise` (with the flow's own `output` and `assign`). `item`: one item of a Map by the flow's `item`;
    it stands in the context as Map.Item.

    `limit` bounds the bytes of JSON of every value that is made.
    """

    kind: Kind
    flow: Flow
    frame: Frame
    payload: Json = msgspec.UNSET
    rules: tuple[Rule, ...] = ()
    otherwise: str | None = None
    limit: int = 262_144


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request: `error` (a name) and `cause` where it failed, else its values.

    `value` is the effective input (`enter`, `item`) or the output (`leave`, `caught`, `choose`); UNSET where
    it is the frame's raw input unchanged. `assigned` are the variables to set, `fields` the evaluated fields,
    by their names in the definition without a trailing `Path`, checked: numbers are numbers and in range,
    `Items` is a list, `Timestamp` is Unix epoch milliseconds. `next` is where a choice goes, None where no
    rule holds and there is no `otherwise`.
    """

    value: Json = msgspec.UNSET
    assigned: Mapping[str, Json] = {}
    fields: Mapping[str, Json] = {}
    next: str | None = None
    error: str = ""
    cause: str = ""
